import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import { parseGatewayConfig } from '../../../streams/gateway/config.ts'
import { iotCredentials } from '../../../streams/gateway/iot-credentials.ts'
import { sqsCloudOfEnvironment } from '../../../streams/gateway/sqs-cloud.ts'
import { Authority, HAS_OPENSSL, NO_OPENSSL } from '../../helpers/certificates.ts'

const NEVER = new AbortController().signal
const ECG = {
  id: 1,
  door: 'mqtt',
  receivedAtMs: 1,
  result: undefined,
  envelope: {
    schema: 1,
    tenant: 'local',
    ecgId: streamEcgId({ tenant: 'local', source: 'mqtt', device: 'd1', session: 's1', firstSample: 0 }),
    origin: { kind: 'mqtt', device: 'd1', session: 's1' },
    span: { startedAt: null, firstSample: 0, durationMs: 10_000 },
  },
  packed: new Uint8Array(10),
  about: { order: {}, visit: { patient: undefined, authority: undefined, bed: undefined } },
} as const

describe.skipIf(!HAS_OPENSSL)(`forwarding with the credentials of a device certificate${NO_OPENSSL}`, () => {
  let folder: string
  let authority: Authority
  /** What the credentials provider was asked: path, thing, and the name in the certificate. */
  let asked: (readonly [string, unknown, string])[]
  let status: number
  let livesS: number
  let provider: ReturnType<typeof createTlsServer>
  let sqs: ReturnType<typeof createServer>
  let requests: IncomingMessage['headers'][]

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'iot-'))
    authority = new Authority(folder)
    ;[asked, status, livesS, requests] = [[], 200, 3600, []]
    provider = createTlsServer(
      { ...authority.pem('provider'), requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate() // the server speaks TLS only
        asked.push([request.url!, request.headers['x-amzn-iot-thingname'], String(subject.CN)])
        const credentials = {
          accessKeyId: `ASIA${asked.length}`,
          secretAccessKey: 'secret',
          sessionToken: `token-${asked.length}`,
          expiration: new Date(Date.now() + livesS * 1000).toISOString(),
        }
        response.writeHead(status).end(JSON.stringify(status === 200 ? { credentials } : { message: 'Forbidden' }))
      },
    ).listen(0, '127.0.0.1')
    sqs = createServer((request, response) => {
      requests.push(request.headers)
      request.resume()
      response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end('{"MessageId":"1"}')
    }).listen(0, '127.0.0.1')
    await Promise.all([once(provider, 'listening'), once(sqs, 'listening')])
    vi.stubEnv('AWS_ENDPOINT_URL', `http://127.0.0.1:${portOf(sqs)}`)
    vi.stubEnv('AWS_REGION', 'eu-central-1')
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) vi.stubEnv(name, undefined)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    for (const server of [provider, sqs]) {
      server.closeAllConnections()
      server.close()
    }
    rmSync(folder, { recursive: true })
  })

  const source = (name = 'gateway-7') => ({
    endpoint: `https://127.0.0.1:${portOf(provider)}`,
    roleAlias: 'gateway-role',
    thing: 'ward-3',
    ...authority.sign(name),
    ca: authority.ca,
  })
  const cloud = (of = source()) =>
    sqsCloudOfEnvironment('https://sqs.eu-central-1.amazonaws.com/1/intake', 'bucket', of)

  it('signs with what the provider gave for the certificate, and asks once', async () => {
    const { send } = cloud()

    await send(ECG, NEVER)
    await send(ECG, NEVER)

    expect(asked).toEqual([['/role-aliases/gateway-role/credentials', 'ward-3', 'gateway-7']])
    expect(requests.map((headers) => headers['x-amz-security-token'])).toEqual(['token-1', 'token-1'])
    expect(requests[0]!.authorization).toContain('Credential=ASIA1/')
  })

  it('asks again before they expire', async () => {
    livesS = 30
    const { send } = cloud()

    await send(ECG, NEVER)
    await send(ECG, NEVER)

    const tokens = new Set(requests.map((headers) => headers['x-amz-security-token']))
    expect(tokens.size).toBe(2)
  })

  it('keeps the ECG for later when the provider refuses, and works when it no longer does', async () => {
    const { send } = cloud()
    status = 403

    await expect(send(ECG, NEVER)).rejects.toMatchObject({ code: 'unavailable' })
    status = 200
    await send(ECG, NEVER)

    expect(requests).toHaveLength(1)
  })

  it('reports a certificate that the provider does not accept as unavailable', async () => {
    const foreign = new Authority(mkdtempSync(join(folder, 'foreign-')))

    await expect(iotCredentials({ ...source(), ...foreign.sign('gateway-7') })()).rejects.toMatchObject({
      code: 'unavailable',
      detail: { field: 'forward.credentials' },
    })
    expect(asked).toEqual([])
  })
})

it('takes a credentials provider in the configuration only by https', () => {
  const forward = (endpoint: string) =>
    parseGatewayConfig({
      forward: {
        kind: 'sqs',
        queueUrl: 'https://sqs.eu-central-1.amazonaws.com/1/intake',
        bucket: 'raw',
        credentials: { endpoint, roleAlias: 'gateway-role', cert: 'gw.pem', key: 'gw.key' },
      },
    }).forward

  expect(forward('https://c1.credentials.iot.eu-central-1.amazonaws.com')).toMatchObject({ kind: 'sqs' })
  expect(() => forward('http://c1.credentials.iot.eu-central-1.amazonaws.com')).toThrow(
    expect.objectContaining({ code: 'site-config-invalid' }),
  )
})

const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port // it listens on a port
