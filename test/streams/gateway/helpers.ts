/**
 * A gateway for tests, on its own ports, with a cloud that can be switched off.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseResult, type Result } from '../../../shared/domain/result.ts'
import { CodedError } from '../../../shared/errors.ts'
import { activeBundle } from '../../../shared/inference/active-bundle.ts'
import type { Cloud } from '../../../streams/gateway/cloud.ts'
import { type GatewayConfig, parseGatewayConfig } from '../../../streams/gateway/config.ts'
import { openDoor, type TlsFiles } from '../../../streams/gateway/door-server.ts'
import { type Gateway, startGateway } from '../../../streams/gateway/gateway.ts'
import type { Envelope, StoredEcg } from '../../../streams/gateway/stored-ecg.ts'
import { acknowledge } from '../../../streams/hl7/acknowledge.ts'
import { type Message, parseMessage } from '../../../streams/hl7/message.ts'
import { serveMllp } from '../../../streams/hl7/mllp.ts'
import { silentLogger } from '../../helpers/logs.ts'

/** Receives ECGs like SQS, unless it is switched off. */
export class TestCloud implements Cloud {
  readonly got: StoredEcg[] = []
  isAway = false
  refuses = false
  results = new Map<string, string>()

  async send(ecg: StoredEcg): Promise<void> {
    if (this.isAway) throw new CodedError('unavailable', { field: 'forward' })
    if (this.refuses) throw new CodedError('delivery-refused', { status: 422 })
    this.got.push(ecg)
  }

  async result({ ecgId }: Envelope): Promise<string | undefined> {
    return this.results.get(ecgId)
  }
}

export const SCREENING = { bundleDirectory: activeBundle(), codeVersion: 'test' }

export interface TestGateway {
  readonly gateway: Gateway
  readonly cloud: TestCloud
  readonly folder: string
  readonly inbox: string
  url(path: string): string
  /** Results as the gateway shows them, the newest first. */
  results(): Promise<readonly Result[]>
  metric(name: string): Promise<number>
  post(path: string, body: object): Promise<Response>
  /** Stops it and starts it again over the same journal. */
  again(overrides?: object): Promise<TestGateway>
  end(): Promise<void>
}

export async function startTestGateway(
  overrides: object = {},
  folder?: string,
  cloud = new TestCloud(),
): Promise<TestGateway> {
  const home = folder ?? mkdtempSync(join(tmpdir(), 'gateway-'))
  const inbox = join(home, 'inbox')
  const config: GatewayConfig = parseGatewayConfig({
    data: join(home, 'data'),
    mqtt: { port: 0 },
    hl7: { port: 0, beds: { 'ICU^01^A': ['monitor-7'] } },
    folder: { watch: inbox },
    status: { port: 0 },
    virtual: true,
    ...overrides,
  })
  const gateway = await startGateway(config, { logger: silentLogger(), cloud, screening: SCREENING })
  await gateway.ready
  const url = (path: string) => `http://127.0.0.1:${gateway.ports.status}${path}`
  return {
    gateway,
    cloud,
    folder: home,
    inbox,
    url,
    async results() {
      const documents = (await (await fetch(url('/v1/ecgs'))).json()) as unknown[]
      return documents.map((document) => parseResult(JSON.stringify(document)))
    },
    async metric(name) {
      const text = await (await fetch(url('/metrics'))).text()
      const lines = text.split('\n').filter((line) => line.startsWith(`cardiacnets_gateway_${name}`))
      return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
    },
    post: (path, body) =>
      fetch(url(path), { method: 'POST', body: JSON.stringify(body), headers: { 'x-cardiacnets': 'test' } }),
    async again(more = {}) {
      await gateway.stop()
      return startTestGateway({ ...overrides, ...more }, home, cloud)
    },
    async end() {
      await gateway.stop()
      rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Polls until the value is as expected. The test's own timeout ends a wait that never succeeds. */
export async function until<T>(ask: () => Promise<T> | T, isWanted: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await ask()
    if (isWanted(value)) return value
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/**
 * An EHR that records ORUs and gives the answers of the test.
 * @param tls it takes messages by mutual TLS only
 */
export async function startEhr(
  errorFor: (message: Message, count: number) => CodedError | undefined = () => undefined,
  tls?: TlsFiles,
) {
  const messages: Message[] = []
  const by = { application: 'EHR', facility: 'HOSP', controlId: () => 'E1', now: () => new Date() }
  let count = 0
  const door = await openDoor({ host: '127.0.0.1', port: 0, tls }, 'ehr', (socket) =>
    serveMllp(
      socket,
      async (bytes) => {
        const message = parseMessage(bytes)
        const error = errorFor(message, count++)
        if (error === undefined) messages.push(message)
        return acknowledge(message, error, by)
      },
      () => [],
    ),
  )
  return { messages, port: door.port, close: () => door.close() }
}
