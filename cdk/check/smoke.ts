/**
 * Smoke test of a running stack through each of its inputs: frames and a window over MQTT, the EHR, an upload, a drawing, and deletion. It
 * uses only addresses, so it runs against a local stack and against AWS. Everything that it creates is deleted, except for a virtual
 * patient in the EHR.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type EcgId, streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import { summaryOf } from '../../shared/domain/result-summary.ts'
import type { EhrClient } from '../../streams/fhir/client.ts'
import { roundTrip } from '../../streams/fhir/round-trip.ts'
import { readRecording } from '../../streams/formats/index.ts'
import type { BrokerOptions } from '../../streams/mqtt/connection.ts'
import { streamRecording } from '../../streams/mqtt/device.ts'
import { DeviceLink } from '../../streams/mqtt/device-link.ts'
import { CONTENT_TYPES, encodeWindow } from '../../streams/mqtt/frame-codec.ts'
import { buildTopic } from '../../streams/mqtt/topics.ts'
import { toWire } from '../../streams/mqtt/wire-recording.ts'

/** Addresses of a stack, and our identity there. What is absent is skipped. */
export interface Addresses {
  readonly apiUrl: string
  /** Token for the API; absent where it is open. */
  readonly token?: string | undefined
  /** Tenant of the token. */
  readonly tenant: string
  readonly broker?: BrokerOptions | undefined
  /** Our name at the broker, which permits us to act as this device. */
  readonly device: string
  /** Whether the stack assembles windows from frames. */
  readonly takesFrames: boolean
  readonly ehr?: EhrClient | undefined
  /** Time limits of a result and of a drawing, for which AWS must start a machine. */
  readonly timeoutMs: number
  readonly drawingTimeoutMs: number
}

export interface Step {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly ms: number
  readonly detail: string
}

/** The step does not apply, for a reason. */
class Skipped extends Error {}

/** Runs one step and reports its outcome. */
export async function step(name: string, run: () => Promise<string>): Promise<Step> {
  const startedMs = performance.now()
  const ended = (outcome: Step['outcome'], detail: string): Step => ({
    name,
    outcome,
    ms: Math.round(performance.now() - startedMs),
    detail,
  })
  try {
    return ended('passed', await run())
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return ended(error instanceof Skipped ? 'skipped' : 'failed', detail)
  }
}

/** Recording of a virtual person. */
const DEMO = join(resolve(import.meta.dirname, '../..'), 'functions/cli/demo/virtual-ecg.hea')

const POLL_MS = 200

/**
 * Runs all steps.
 * @param onStep is called when each step ends
 * @example
 * await smoke({ apiUrl, tenant: 'local', device: 'check', takesFrames: true, timeoutMs: 30_000, drawingTimeoutMs: 120_000 }, console.log)
 */
export async function smoke(addresses: Addresses, onStep: (step: Step) => void = () => {}): Promise<readonly Step[]> {
  const recording = await readRecording(DEMO)
  const api = apiAt(addresses)
  const steps: Step[] = []
  /** ECGs to delete at the end. */
  const ecgs: EcgId[] = []
  const run = async (name: string, flow: () => Promise<string>) => {
    const ended = await step(name, flow)
    steps.push(ended)
    onStep(ended)
  }
  await run('MQTT frames', () => sendFrames(recording, addresses, api, ecgs))
  await run('MQTT window', () => sendWindow(recording, addresses, api, ecgs))
  await run('EHR', () => throughEhr(recording, addresses))
  let uploaded: EcgId | undefined
  await run('upload', async () => {
    const ecgId = await upload(recording, api)
    ecgs.push(ecgId)
    await api.screened(ecgId)
    uploaded = ecgId
    return `screened: ${ecgId}`
  })
  let artifacts: readonly string[] = []
  await run('synthesis', async () => {
    artifacts = await draw(uploaded, addresses, api)
    return `${artifacts.length} artifacts`
  })
  await run('deletion', () => remove(ecgs, artifacts, api))
  return steps
}

async function sendFrames(
  recording: Recording,
  { broker, device, tenant, takesFrames, timeoutMs }: Addresses,
  api: Api,
  ecgs: EcgId[],
): Promise<string> {
  if (!takesFrames) throw new Skipped('no adapter puts windows together')
  const link = await open(broker, device)
  try {
    const { windows, problems } = await streamRecording(recording, {
      link,
      tenant,
      device,
      speed: Infinity,
      resultTimeoutMs: timeoutMs,
    })
    ecgs.push(...windows.map(({ ecgId }) => ecgId))
    expect(problems.length === 0, `refused: ${problems[0]?.code}`)
    expect(windows.length > 0, 'no window came of the frames')
    for (const { results } of windows) expect(results === 1, `${results} distinct results of one window`)
    for (const { ecgId } of windows) await api.screened(ecgId)
    return `answered in ${Math.round(windows[0]!.latencyMs ?? 0)} ms on the results topic`
  } finally {
    await link.close()
  }
}

/** A window has one result, or the same bytes again, because both inputs may have delivered it. */
async function sendWindow(
  recording: Recording,
  { broker, device, tenant, timeoutMs }: Addresses,
  api: Api,
  ecgs: EcgId[],
): Promise<string> {
  const link = await open(broker, device)
  try {
    const window = windowOf(recording)
    const ecgId = streamEcgId({ tenant, source: 'mqtt', device, session: window.session, firstSample: 0 })
    const answers: string[] = []
    await link.listen(buildTopic({ tenant, device, channel: 'results' }), (payload) => {
      const text = payload.toString()
      if (text.includes(ecgId)) answers.push(text)
    })
    const startedMs = performance.now()
    const topic = buildTopic({ tenant, device, channel: 'window' })
    ecgs.push(ecgId)
    await link.publish(topic, encodeWindow(window), CONTENT_TYPES.protobuf)
    await until(timeoutMs, 'no result on the results topic', async () => answers.length > 0)
    const ms = Math.round(performance.now() - startedMs)
    const stored = await api.screened(ecgId)
    expect(new Set(answers).size === 1, 'two different results of one window')
    // The site decides whether its devices get whole results or summaries.
    expect([stored, summaryOf(stored)].includes(answers[0]!), 'the API has another result than the topic')
    return `answered in ${ms} ms on the results topic`
  } finally {
    await link.close()
  }
}

async function throughEhr(recording: Recording, { ehr, timeoutMs }: Addresses): Promise<string> {
  if (ehr === undefined) throw new Skipped('no EHR is named')
  const { startedAt: _, ...now } = recording
  const { report, reportedMs } = await roundTrip(ehr, now, timeoutMs)
  return `DiagnosticReport/${String(report.id)} in ${reportedMs} ms`
}

async function upload(recording: Recording, api: Api): Promise<EcgId> {
  const headers = { 'content-type': 'application/json' }
  const response = await api.call('/v1/ecgs', {
    method: 'POST',
    headers,
    body: encodeWindow(windowOf(recording), 'json'),
  })
  await accept(response, response.status === 202)
  const { ecgId } = (await response.json()) as { ecgId: EcgId } // the API's own response
  return ecgId
}

/** @returns paths of the artifacts */
async function draw(ecgId: EcgId | undefined, addresses: Addresses, api: Api): Promise<readonly string[]> {
  if (ecgId === undefined) throw new Skipped('there is no ECG to draw from')
  const headers = { 'content-type': 'application/json' }
  const asked = await api.call(`/v1/ecgs/${ecgId}/cmr`, { method: 'POST', headers, body: '{}' })
  if (asked.status === 409 && (await asked.clone().text()).includes('synthesis-unavailable')) {
    throw new Skipped('the bundle cannot draw, or the site does not want it to')
  }
  await accept(asked)
  let job = (await asked.json()) as Job
  await until(addresses.drawingTimeoutMs, 'not drawn in time', async () => {
    job = (await (await api.call(`/v1/cmr/${job.jobId}`)).json()) as Job
    return !['queued', 'starting', 'running'].includes(job.status)
  })
  expect(job.status === 'done', `${job.status}: ${job.reason ?? 'no reason'}`)
  const hrefs = (job.artifacts ?? []).map(({ href }) => href)
  expect(hrefs.length > 0, 'nothing was drawn')
  for (const href of hrefs) {
    const response = await api.call(href)
    await accept(response)
    expect((await response.arrayBuffer()).byteLength > 0, `${href} is empty`)
  }
  return hrefs
}

/** The API's response about a job. */
interface Job {
  readonly jobId: string
  readonly status: string
  readonly reason?: string
  readonly artifacts?: readonly { readonly href: string }[]
}

async function remove(ecgs: readonly EcgId[], artifacts: readonly string[], api: Api): Promise<string> {
  if (ecgs.length === 0) throw new Skipped('there is nothing to delete')
  for (const ecgId of ecgs) {
    const deleted = await api.call(`/v1/ecgs/${ecgId}`, { method: 'DELETE' })
    // After a failed step the ECG may not exist.
    await accept(deleted, [204, 404].includes(deleted.status))
  }
  for (const path of [...ecgs.map((ecgId) => `/v1/ecgs/${ecgId}`), ...artifacts]) {
    const gone = await api.call(path)
    expect([404, 410].includes(gone.status), `${path} is still there: ${gone.status}`)
  }
  return `${ecgs.length} ECGs and ${artifacts.length} artifacts are gone`
}

interface Api {
  call(path: string, init?: RequestInit): Promise<Response>
  /** Waits for an ECG's result, byte for byte as stored. */
  screened(ecgId: EcgId): Promise<string>
}

function apiAt({ apiUrl, token, timeoutMs }: Addresses): Api {
  const call = (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers)
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    return fetch(new URL(path, apiUrl), { ...init, headers })
  }
  return {
    call,
    async screened(ecgId) {
      let text = ''
      await until(timeoutMs, `${ecgId} was not screened in time`, async () => {
        const response = await call(`/v1/ecgs/${ecgId}`)
        text = await response.text()
        expect([200, 202, 404].includes(response.status), `${response.status}: ${text.slice(0, 200)}`)
        return response.status === 200
      })
      const { status } = JSON.parse(text) as { status: string } // a result
      expect(status === 'screened', `${ecgId} is ${status}`)
      return text
    },
  }
}

async function open(broker: BrokerOptions | undefined, device: string): Promise<DeviceLink> {
  if (broker === undefined) throw new Skipped('no broker is named')
  return DeviceLink.open(broker, { clientId: device })
}

/** The first ten seconds of a recording, in a separate session. */
function windowOf(recording: Recording): Omit<Frame, 'sequence' | 'isLast'> {
  const { leads, rows } = toWire(recording)
  const length = 10 * recording.rateHz
  const samples = Int16Array.from(rows.flatMap((row) => [...row.subarray(0, length)]))
  const session = randomUUID()
  return { session, firstSample: 0, sessionStartedAtMs: Date.now() - 10_000, rateHz: recording.rateHz, leads, samples }
}

async function until(timeoutMs: number, otherwise: string, isSo: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + timeoutMs
  while (!(await isSo())) {
    if (performance.now() > untilMs) throw new Error(otherwise)
    await sleep(POLL_MS)
  }
}

function expect(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise)
}

async function accept(response: Response, isGood = response.ok): Promise<void> {
  if (!isGood) throw new Error(`${response.status}: ${(await response.text()).slice(0, 200)}`)
}
