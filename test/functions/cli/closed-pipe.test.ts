import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { openSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { AUDIT_TABLE, BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { cli, DEMO } from '../../helpers/cli.ts'
import { makeResult } from '../../helpers/results.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startTestGateway } from '../../streams/gateway/helpers.ts'

const MAIN = resolve(import.meta.dirname, '../../../functions/cli/main.ts')

/** Runs a command whose standard output nobody reads, as in `… | true`. */
async function unread(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  return ended(child, text(child.stderr))
}

async function ended(child: ChildProcess, stderr: Promise<string>) {
  const [[code], printed] = await Promise.all([once(child, 'exit'), stderr])
  return { code: code as number | null, stderr: printed } // an argument of `exit`
}

describe('a command whose output nobody reads', { timeout: 120_000 }, () => {
  it.each([
    ['the help', ['--help']],
    ['a list', ['models', 'list']],
    ['a result', ['screen', DEMO]],
    ['a document', ['screen', DEMO, '--json']],
    ['several documents', ['screen', DEMO, DEMO, DEMO, '--json-lines']],
    ['a command line for a second process', ['screen', ...Array<string>(300).fill(DEMO), '--json']],
  ])('ends quietly with 0: %s', async (_, args) => {
    expect(await unread(args)).toEqual({ code: 0, stderr: '' })
  })

  it('prints the first lines to a reader that needs no more', async () => {
    const child = spawn(process.execPath, [MAIN, 'screen', ...Array<string>(20).fill(DEMO), '--json-lines'])
    const stderr = text(child.stderr)

    const [chunk] = (await once(child.stdout, 'data')) as [Buffer] // of a stream without encoding
    child.stdout.destroy()

    expect(chunk.toString()).toMatch(/^\{"file":/)
    expect(await ended(child, stderr)).toEqual({ code: 0, stderr: '' })
  })

  it('ends an endless session properly: stream --loop', async () => {
    const { gateway, end } = await startTestGateway()
    onTestFinished(end)
    const to = `mqtt://127.0.0.1:${gateway.ports.mqtt}`
    const child = spawn(process.execPath, [MAIN, 'stream', DEMO, '--to', to, '--loop', '--speed', '20', '--json'])
    const stderr = text(child.stderr)

    await once(child.stdout, 'data')
    child.stdout.destroy()

    expect(await ended(child, stderr)).toEqual({ code: 0, stderr: '' })
  })

  it('still reports an invalid file on standard error', async () => {
    const { code, stderr } = await unread(['screen', 'nowhere.csv'])

    expect(code).toBe(2)
    expect(stderr).toContain('nowhere.csv does not exist')
  })

  it('says that the disk is full when its output goes to a file', async () => {
    const child = spawn(process.execPath, [MAIN, 'screen', DEMO, DEMO, '--json-lines'], {
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    })

    const { code, stderr } = await ended(child, text(child.stderr!))

    expect(code).toBe(1)
    expect(stderr.match(/The disk is full \(standard output\)/g)).toHaveLength(1)
  })
})

describe('a command that changes something', { timeout: 60_000 }, () => {
  let aws: TestAws

  beforeAll(async () => {
    aws = await startTestAws()
  })
  afterAll(() => aws.stop())

  it('finishes its work when nobody reads its output', async () => {
    const folder = temporaryFolder()
    const tenant = 'unread'
    const results = new ResultStore(aws.dynamo, TABLE)
    const ecgIds: EcgId[] = []
    for (let i = 0; i < 3; i++) {
      const ecgId = fileEcgId({ tenant, sha256: randomUUID() })
      await results.putOnce(tenant, { kind: 'upload' }, makeResult({ ecgId }), new Date())
      ecgIds.push(ecgId)
    }
    const outputs = {
      ResultsTable: TABLE,
      AuditTable: AUDIT_TABLE,
      AuditDays: '30',
      RawBucket: BUCKET,
      LocalEndpoint: aws.env.AWS_ENDPOINT_URL_S3,
      LocalDynamoEndpoint: aws.env.AWS_ENDPOINT_URL_DYNAMODB,
    }
    writeFileSync(join(folder, 'outputs.json'), JSON.stringify({ stack: outputs }))
    const receipt = join(folder, 'receipt.json')
    const named = ['--ecg', ...ecgIds, '--no-ehr', '--tenant', tenant]

    const ran = await unread(
      ['erase', ...named, '--outputs', join(folder, 'outputs.json'), '--receipt', receipt, '--yes'],
      { ...process.env, ...aws.env },
    )

    expect(ran).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(await readFile(receipt, 'utf8'))).toMatchObject({ ecgIds, left: [] })
    for (const ecgId of ecgIds) expect(await results.latest(tenant, ecgId)).toBeUndefined()
  })
})

it('a service that hangs up is still a service that cannot be reached', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.resetAndDestroy())).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on a port

  const { code, stderr } = await cli('.', 'gateway', 'status', '--status-port', String(port))
  server.close()

  expect(code).toBe(4)
  expect(stderr).toContain('A service cannot be reached: --status-port (ECONNRESET)')
})
