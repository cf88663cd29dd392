import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import type { Problem } from '../../../streams/mqtt/frame-end.ts'
import { Ingest } from '../../../streams/mqtt/ingest.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { makeRoom } from '../../../streams/mqtt/journal-room.ts'
import { DEFAULT_LIMITS, type LimitName, Limits } from '../../../streams/mqtt/limits.ts'
import { makeFrame, NOW } from './helpers/factories.ts'

const LIMIT_BYTES = 2 * 1024 * 1024

describe('Ingest under a flood from one device', () => {
  let nowMs: number
  let journal: Journal
  let limits: Limits
  let ingest: Ingest
  let closed: number[]
  let refusals: { id: number | undefined; problem: Problem; limit: LimitName | undefined }[]

  beforeEach(() => {
    nowMs = 0
    closed = []
    refusals = []
    journal = new Journal(':memory:')
    limits = new Limits(DEFAULT_LIMITS, () => nowMs)
    ingest = new Ingest({
      journal,
      clock: { now: () => NOW + nowMs, monotonic: () => nowMs },
      idleMs: 15_000,
      limits,
      output: {
        windowsClosed: (ids) => closed.push(...ids),
        refused: (id, problem, _topic, limit) => refusals.push({ id, problem, limit }),
        failed: (error) => {
          throw error
        },
      },
    })
  })

  afterEach(() => journal.close())

  const room = () => makeRoom({ ingest, journal, limits, limitBytes: LIMIT_BYTES })

  const receive = (device: string, payload: Buffer, acknowledge: (reason: number) => void = () => {}) =>
    ingest.receive({ topic: `ecg/v1/clinic/${device}/frames`, payload, contentType: undefined, acknowledge })
  const send = (device: string, payload: Buffer) => {
    const reasons: number[] = []
    receive(device, payload, (reason) => reasons.push(reason))
    ingest.flush()
    return reasons[0]
  }
  /** A whole session in one frame: too short for a window. */
  const session = (name: string): Frame => makeFrame({ session: name, length: 100, isLast: true })
  const windowOf = (device: string, name: string) =>
    Array.from({ length: 20 }, (_, sequence) => send(device, encodeFrame(makeFrame({ session: name, sequence }))))

  it('refuses 16,000 short sessions with a reason, without delay for other devices', () => {
    for (let index = 0; index < 16_000; index++) {
      receive('bad', encodeFrame(session(`s${index}`)))
      nowMs += 10
      if (index % 100 === 0) ingest.flush()
      if (index % 1000 === 0) room()
    }
    ingest.flush()
    const { usedBytes } = journal
    const neighbour = windowOf('good', 's1')

    expect(refusals.length).toBeGreaterThan(15_000)
    expect(refusals.every(({ id }) => id === undefined)).toBe(true)
    expect(refusals[0]).toMatchObject({
      problem: { code: 'limit-exceeded', field: 'sessions', session: 's200' },
      limit: 'device-sessions',
    })
    expect(usedBytes).toBeLessThan(LIMIT_BYTES / 4)
    expect(neighbour).toEqual(Array(20).fill(0))
    expect(closed).toHaveLength(1)
  })

  it('makes room when the device changes its name, without losing a waiting window', () => {
    windowOf('good', 's1')
    const waiting = journal.pendingWindows()
    for (let index = 0; index < 7000; index++) {
      receive(`bad${index}`, encodeFrame(session('s')))
      nowMs += 60
      if (index % 100 === 0) ingest.flush()
    }
    ingest.flush()
    const before = journal.usedBytes

    const made = room()

    expect(before).toBeGreaterThan(LIMIT_BYTES / 2)
    expect(made.forgottenSessions).toBeGreaterThan(0)
    expect(journal.usedBytes).toBeLessThanOrEqual(LIMIT_BYTES / 2)
    expect(journal.pendingWindows()).toEqual(waiting)
    expect(journal.readWindow(waiting[0]!).waveform.leads[0]!.samples).toHaveLength(5000)
  })

  it('drops data kept for corrections before a waiting window', () => {
    // A window that lacks one frame: its frames are kept until that one arrives.
    for (let index = 0; index < 150; index++) {
      for (const sequence of Array.from({ length: 9 }, (_, at) => at).filter((at) => at !== 3)) {
        send(`d${index}`, encodeFrame(makeFrame({ session: 's', sequence, length: 1000 })))
      }
      nowMs += 5000
      ingest.sweep()
    }
    const sent = closed.splice(0)
    journal.transaction(() => {
      for (const id of sent) journal.windowSent(id)
    })
    windowOf('good', 's1')
    const waiting = journal.pendingWindows()

    const made = room()

    expect(made.expiredWindows).toBeGreaterThan(0)
    expect(journal.usedBytes).toBeLessThanOrEqual(LIMIT_BYTES / 2)
    expect(journal.pendingWindows()).toEqual(waiting)
    expect(send('d0', encodeFrame(makeFrame({ session: 's', sequence: 3, length: 1000 })))).toBe(0x83)
    expect(refusals.at(-1)?.problem).toMatchObject({ code: 'correction-expired', field: 'firstSample', sequence: 3 })
  })

  it('refuses all unreadable payloads, and keeps some of them', () => {
    for (let index = 0; index < 5000; index++) receive('bad', Buffer.from('?'))
    ingest.flush()

    expect(refusals).toHaveLength(5000)
    expect(journal.pendingRejects()).toHaveLength(DEFAULT_LIMITS.device.refusals.burst)
    expect(refusals.at(-1)).toMatchObject({
      id: undefined,
      problem: { code: 'payload-malformed' },
      limit: 'device-refusals',
    })
  })

  it('refuses frames above the rate limit before it reads them', () => {
    const frame = encodeFrame(session('s1'))
    for (let index = 0; index < DEFAULT_LIMITS.device.frames.burst; index++)
      limits.take('frames', { tenant: 'clinic', device: 'bad' })

    expect(send('bad', frame)).toBe(0x97)
    expect(send('good', frame)).toBe(0)
    expect(refusals).toMatchObject([{ problem: { code: 'limit-exceeded', field: 'frames' }, limit: 'device-frames' }])
  })

  it('refuses a device that holds a quarter of the journal while others use it too', () => {
    for (let sequence = 0; sequence < 600; sequence++) {
      send('big', encodeFrame(makeFrame({ session: 's1', sequence, length: 1000 })))
    }
    send('small', encodeFrame(makeFrame()))

    room()

    expect(send('big', encodeFrame(makeFrame({ session: 's1', sequence: 600, length: 1000 })))).toBe(0x97)
    expect(send('small', encodeFrame(makeFrame({ sequence: 1 })))).toBe(0)
    expect(refusals).toMatchObject([{ problem: { code: 'limit-exceeded', field: 'bytes' }, limit: 'device-bytes' }])
  })
})
