import { writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { join } from 'node:path'
import { generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkDeployed } from '../../../cdk/check/check.ts'
import { closeServer, listen } from '../../../cdk/local/http.ts'
import { type LocalStack, startLocalStack } from '../../../cdk/local/stack.ts'
import { tokenAuthenticator } from '../../../functions/api/auth.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const [issuer, audience] = ['https://issuer.example/', 'cardiacnets']

let stack: LocalStack
let keys: Awaited<ReturnType<typeof generateKeyPair>>
let outputs: string
const front = createServer()

/** The local stack behind a proxy that requires a token, like a deployed API. */
beforeAll(async () => {
  keys = await generateKeyPair('ES256')
  stack = await startLocalStack({ batchPriority: 0 })
  const tenants = new Set(['local'])
  const authenticate = tokenAuthenticator({
    issuer,
    audience,
    tenantClaim: 'tenant',
    tenants,
    keys: async () => keys.publicKey,
  })
  front.on('request', async (incoming, response) => {
    try {
      await authenticate(incoming.headers.authorization)
    } catch {
      return response.writeHead(401).end('token-invalid')
    }
    const { method, url, headers } = incoming
    const outgoing = request(new URL(url!, stack.apiUrl), { method: method!, headers }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    incoming.pipe(outgoing)
  })
  const { port } = await listen(front, 0)
  outputs = join(temporaryFolder(), 'outputs.json')
  await writeFile(outputs, JSON.stringify({ CardiacNets: { ...stack.outputs, ApiUrl: `http://127.0.0.1:${port}` } }))
}, 300_000)

afterAll(async () => {
  await closeServer(front)
  await stack?.stop()
})

const tokenOf = (tenant: string) =>
  new SignJWT({ tenant, scope: 'ecg:read ecg:write cmr:request' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject('stack-check')
    .setExpirationTime('10m')
    .sign(keys.privateKey)

/** `stack:check --aws --site hospital` of a stack whose addresses are in a file. */
const check = (options: object) =>
  checkDeployed(
    { site: 'hospital', aws: true, outputs, tenant: 'local', device: 'thing-1', timeout: 60, ...options },
    () => {},
  )

describe('stack:check --aws', () => {
  it('sends ECGs through a deployed stack, found by its outputs, with its own token and device', async () => {
    const { passed, steps } = await check({ token: await tokenOf('local'), mqtt: stack.mqttUrl })

    expect(steps.map(({ name, outcome, detail }) => [name, outcome, outcome === 'passed' ? '' : detail])).toEqual([
      ['MQTT frames', 'passed', ''],
      ['MQTT window', 'passed', ''],
      ['EHR', 'skipped', 'no EHR is named'],
      ['upload', 'passed', ''],
      ['synthesis', 'passed', ''],
      ['deletion', 'passed', ''],
    ])
    expect(passed).toBe(true)
    expect(stack.permissions.violations).toEqual([])
  }, 180_000)

  it('names the step that failed for lack of access', async () => {
    const { passed, steps } = await check({})

    expect(passed).toBe(false)
    expect(steps.filter(({ outcome }) => outcome === 'failed')).toMatchObject([
      { name: 'upload', detail: '401: token-invalid' },
    ])
  })
})
