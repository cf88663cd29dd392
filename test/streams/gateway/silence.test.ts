/** Devices that fall silent at the gateway's own door, over a real connection and in a clock that the test sets. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { connectAsync, type MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { decodeWaveform } from '../../../shared/waveform/codec.ts'
import { MqttDoor } from '../../../streams/gateway/mqtt-door.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import type { Problem } from '../../../streams/mqtt/frame-end.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { makeFrame, NOW, sampleAt } from '../mqtt/helpers/factories.ts'
import { until } from './helpers.ts'

const [RATE_HZ, FRAME_MS, FRAME_SAMPLES] = [100, 500, 50]
const IDLE_MS = 15_000

let [door, store, server]: [MqttDoor, Store, Server] = [] as never // `beforeEach` sets them
let device: MqttClient
let nowMs: number
let stored: number[]
let problems: Problem[]
/** What the door has acknowledged. */
let acknowledged: Frame[]

beforeEach(async () => {
  ;[nowMs, stored, problems, acknowledged] = [0, [], [], []]
  store = new Store(':memory:', { limitBytes: 1e9, forwards: true })
  door = await MqttDoor.open({
    store,
    journal: new Journal(':memory:'),
    clock: { now: () => NOW + nowMs, monotonic: () => nowMs },
    idleMs: IDLE_MS,
    tenant: 'local',
    results: 'whole',
    warnings: () => [],
    onStored: (added) => stored.push(...added.map(({ id }) => id)),
    onRefused: () => {},
    onFailed: (error) => {
      throw error
    },
  })
  server = createServer((socket) => door.serve(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await connect()
})
afterEach(async () => {
  device.end(true)
  await door.close()
  server.close()
  store.close()
})

async function connect(): Promise<void> {
  const { port } = server.address() as AddressInfo // it listens on a port
  device = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 4 })
  device.on('message', (_, payload) => problems.push((JSON.parse(payload.toString()) as { problem: Problem }).problem))
  await device.subscribeAsync('ecg/v1/local/d0/cmd')
}

/** Time goes by; the door looks after itself every second. */
function pass(ms: number): void {
  for (let left = ms; left > 0; left -= 1000) {
    nowMs += Math.min(left, 1000)
    door.upkeep()
  }
}

const frame = (sequence: number, fields: Partial<Frame> = {}) =>
  makeFrame({ session: 's1', sequence, length: FRAME_SAMPLES, rateHz: RATE_HZ, sessionStartedAtMs: NOW, ...fields })

/** Sends frames; each has been acknowledged when it resolves. */
async function send(frames: readonly Frame[]): Promise<void> {
  await Promise.all(
    frames.map(async (each) => {
      await device.publishAsync('ecg/v1/local/d0/frames', encodeFrame(each), { qos: 1 })
      acknowledged.push(each)
    }),
  )
}

async function stream(from: number, to: number): Promise<void> {
  for (let sequence = from; sequence < to; sequence++) {
    await send([frame(sequence)])
    pass(FRAME_MS)
  }
}

/** The newest version of each window: session, first sample, version, and how many samples it has; all of them as they were sent. */
function current() {
  const newest = new Map<
    string,
    { readonly version: number; readonly samples: Int32Array; readonly isShort: boolean }
  >()
  for (const id of stored) {
    const { envelope, packed } = store.readEcg(id)!
    const { origin, span, version = 1, warnings = [] } = envelope
    const name = `${'session' in origin ? origin.session : ''}/${span.firstSample}`
    if ((newest.get(name)?.version ?? 0) >= version) throw new Error(`${name} came twice as version ${version}`)
    const isShort = warnings.some(({ code }) => code === 'window-closed-short')
    newest.set(name, { version, samples: decodeWaveform(packed).leads[0]!.samples, isShort })
  }
  return newest
}

/** Samples that were acknowledged and are not in exactly one current window, or are others there. */
function differences(): readonly string[] {
  const expected = new Set(
    acknowledged.flatMap(({ session, firstSample }) =>
      Array.from({ length: FRAME_SAMPLES }, (_, at) => `${session}/${firstSample + at}`),
    ),
  )
  const found: string[] = []
  for (const [name, { samples }] of current()) {
    const [session, first] = name.split('/') as [string, string]
    for (const [at, value] of samples.entries()) {
      const place = `${session}/${Number(first) + at}`
      if (value === MISSING_SAMPLE) continue
      if (!expected.delete(place)) found.push(`${place} was never sent, or is there twice`)
      if (value !== sampleAt(0, Number(first) + at)) found.push(`${place} is another sample`)
    }
  }
  return [...found, ...[...expected].map((place) => `${place} is lost`)]
}

describe('a device that falls silent', () => {
  it.each([
    ['10 s', 10],
    ['1 min', 60],
    ['1 h', 3600],
  ])('for %s and then sends what it kept loses no sample', async (_, seconds) => {
    const before = 27
    const kept = (seconds * 1000) / FRAME_MS
    await stream(0, before)

    device.end(true)
    pass(seconds * 1000)
    await connect()
    await send(Array.from({ length: kept }, (_, index) => frame(before + index)))
    await stream(before + kept, before + kept + 12)
    await send([frame(before + kept + 12, { isLast: true })])
    pass(1000)

    const versions = [...current().values()].map(({ version }) => version)
    // The window that was open is corrected if its silence was longer than the door waits.
    expect(versions.filter((version) => version > 1)).toEqual(seconds * 1000 > IDLE_MS ? [2] : [])
    expect([...current().values()].filter(({ isShort }) => isShort)).toEqual([])
    expect(differences()).toEqual([])
    expect(problems).toEqual([])
  })

  it.each([
    ['10 s', 10],
    ['1 min', 60],
    ['1 h', 3600],
  ])('for %s without recording continues in the same session', async (_, seconds) => {
    const gap = (seconds * 1000) / FRAME_MS
    await stream(0, 27)

    device.end(true)
    pass(seconds * 1000)
    await connect()
    for (let index = 0; index < 27; index++) {
      await send([
        frame(27 + index, { firstSample: (27 + gap + index) * FRAME_SAMPLES, ...samplesAt(27 + gap + index) }),
      ])
      pass(FRAME_MS)
    }
    pass(2 * IDLE_MS)

    expect(differences()).toEqual([])
    expect(problems).toEqual([])
  })

  it.each([
    ['with another start time', { sessionStartedAtMs: NOW + 60_000 }, 'clock-invalid', 0],
    ['with the same start time', {}, 'sequence-invalid', 0],
  ])(
    'and counts from zero after a restart %s is told so, and a new session name is taken',
    async (_, fields, code, first) => {
      await stream(0, 27)
      device.end(true)
      pass(60_000)
      await connect()

      // The same name, with other samples under numbers that are used.
      for (let sequence = 0; sequence < 27; sequence++) {
        const other = frame(sequence, { ...fields, ...samplesAt(sequence + 9) })
        await device.publishAsync('ecg/v1/local/d0/frames', encodeFrame(other), { qos: 1 })
      }
      await until(
        () => problems.length,
        (count) => count === 27 - first,
      )
      for (let sequence = 0; sequence < 20; sequence++) await send([frame(sequence, { session: 's2' })])
      pass(2 * IDLE_MS)

      expect(problems[0]).toMatchObject({ code, session: 's1', sequence: first })
      expect([...current().keys()]).toEqual(['s1/0', 's1/1000', 's2/0'])
      expect(differences()).toEqual([])
    },
  )
})

/** The samples that belong to another frame's place. */
const samplesAt = (place: number) => ({ samples: frame(place).samples })
