import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import type { Problem } from '../../../streams/mqtt/frame-end.ts'
import { Ingest } from '../../../streams/mqtt/ingest.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { GRACE_MS } from '../../../streams/mqtt/window-assembler.ts'
import { makeFrame, NOW, sampleAt } from './helpers/factories.ts'

const TOPIC = 'ecg/v1/clinic/d1/frames'

let folder: string
let journal: Journal
let nowMs: number
let ingest: Ingest
let closed: number[]
let problems: Problem[]
let failure: unknown

/** A restarted process: it has only the contents of the journal. */
function start(): void {
  journal = new Journal(join(folder, 'journal.db'))
  closed = []
  problems = []
  ingest = new Ingest({
    journal,
    clock: { now: () => nowMs, monotonic: () => nowMs },
    idleMs: 15_000,
    output: {
      windowsClosed: (ids) => closed.push(...ids),
      refused: (_, problem) => problems.push(problem),
      failed: (error) => {
        failure = error
      },
    },
  })
  ingest.recover()
}

/** Sends frames and returns the reason codes of their acknowledgements, in order. */
function receive(...frames: readonly Frame[]): number[] {
  const reasons: number[] = []
  for (const frame of frames) {
    ingest.receive({
      topic: TOPIC,
      payload: encodeFrame(frame),
      contentType: undefined,
      acknowledge: (reason) => reasons.push(reason),
    })
  }
  ingest.flush()
  return reasons
}

const frames = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => makeFrame({ sequence: from + index }))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'))
  nowMs = NOW
  failure = undefined
  start()
})

afterEach(() => {
  journal.close()
  rmSync(folder, { recursive: true })
})

describe('Ingest', () => {
  it('acknowledges a frame only when it is in the journal', () => {
    let held: number | undefined
    ingest.receive({
      topic: TOPIC,
      payload: encodeFrame(makeFrame()),
      contentType: undefined,
      acknowledge: () => {
        held = journal.openSessions().length
      },
    })
    const before = held

    ingest.flush()

    expect(before).toBeUndefined()
    expect(held).toBe(1)
  })

  it('commits received frames without being asked', async () => {
    const { promise, resolve } = Promise.withResolvers<number>()

    ingest.receive({ topic: TOPIC, payload: encodeFrame(makeFrame()), contentType: undefined, acknowledge: resolve })

    expect(await promise).toBe(0)
  })

  it('gives a window its samples, start and heart rate', () => {
    receive(...frames(0, 39), makeFrame({ sequence: 39, heartRateBpm: 64 }))

    const window = journal.readWindow(closed[1]!)

    expect(window).toMatchObject({
      tenant: 'clinic',
      device: 'd1',
      session: 's1',
      firstSample: 5000,
      startedAtMs: NOW - 50_000,
      heartRateBpm: 64,
    })
    expect(window.waveform.leads[1]!.samples).toEqual(
      Int32Array.from({ length: 5000 }, (_, at) => sampleAt(1, 5000 + at)),
    )
  })

  it('closes the same windows when the process restarts after any frame', () => {
    const seen = new Map<number, Int32Array>()

    for (const frame of frames(0, 65)) {
      receive(frame)
      journal.close()
      start()
      for (const id of closed) {
        const { firstSample, waveform } = journal.readWindow(id)
        seen.set(firstSample, waveform.leads[0]!.samples)
      }
    }

    expect([...seen.keys()]).toEqual([0, 5000, 10_000])
    for (const [firstSample, samples] of seen) {
      expect(samples).toEqual(Int32Array.from({ length: 5000 }, (_, at) => sampleAt(0, firstSample + at)))
    }
  })

  it('forgets a window that SQS has, and its frames, even across a restart', () => {
    receive(...frames(0, 21))
    const [windowId] = closed

    ingest.afterwards(() => journal.windowSent(windowId!))
    ingest.flush()
    journal.close()
    start()
    const repeated = receive(...frames(0, 21))

    expect(closed).toEqual([])
    expect(repeated).toEqual(Array(21).fill(0))
    expect(problems).toEqual([])
  })

  it('keeps the frames of an unsent window when a later one is sent first', () => {
    receive(...frames(0, 40))
    const [first, second] = closed

    journal.transaction(() => journal.windowSent(second!))

    expect(journal.readWindow(first!).waveform.leads[0]!.samples[4999]).toBe(sampleAt(0, 4999))
    expect(journal.pendingWindows()).toEqual([first])
  })

  it('does not change a closed window when its missing frame arrives later', () => {
    receive(...frames(0, 25).filter(({ sequence }) => sequence !== 7))
    nowMs += GRACE_MS
    ingest.sweep()
    journal.close()
    start()

    const pending = journal.pendingWindows()
    const reasons = receive(makeFrame({ sequence: 7 }))

    expect(reasons).toEqual([0])
    expect(journal.readWindow(pending[0]!).waveform.leads[0]!.samples[7 * 250]).toBe(-0x8000_0000)
  })

  it.each([4200, 4500])(
    'refuses a frame from sample %i that overlaps a closed window, and continues',
    (firstSample) => {
      const reasons = receive(
        makeFrame({ firstSample: 4200, length: 700, isLast: true }),
        makeFrame({ sequence: 1, firstSample, length: 1000 }),
        makeFrame({ sequence: 2, firstSample: 4900, length: 1000 }),
      )

      expect(failure).toBeUndefined()
      expect(reasons).toEqual([0, 0x83, 0])
      expect(problems).toMatchObject([{ code: 'sequence-invalid', field: 'firstSample', sequence: 1 }])
    },
  )

  it('closes a session after 15 s of silence, also one from before a restart', () => {
    receive(...frames(0, 6))
    journal.close()
    nowMs += 60_000
    start()

    nowMs += 14_999
    ingest.sweep()
    const early = [...closed]
    nowMs += 1
    ingest.sweep()

    expect(early).toEqual([])
    expect(journal.readWindow(closed[0]!).waveform.leads[0]!.samples).toHaveLength(1500)
  })

  it('sends the window of a silent session, however short it is', () => {
    receive(makeFrame())

    nowMs += 15_000
    ingest.sweep()

    expect(journal.readWindow(closed[0]!)).toMatchObject({ firstSample: 0, version: 1, isShort: true })
    expect(journal.readWindow(closed[0]!).waveform.leads[0]!.samples).toHaveLength(250)
    expect(journal.openSessions()).toEqual([])
  })

  it('acknowledges a refused payload with its reason, keeps it for the DLQ, and continues', () => {
    const reasons: number[] = []
    const send = (topic: string, payload: Buffer) =>
      ingest.receive({ topic, payload, contentType: undefined, acknowledge: (reason) => reasons.push(reason) })

    send(TOPIC, Buffer.from('?'))
    send('ecg/v1/a clinic/d1/frames', encodeFrame(makeFrame()))
    send(TOPIC, encodeFrame(makeFrame({ sequence: 1 })))
    send(TOPIC, encodeFrame(makeFrame({ sequence: 1, firstSample: 0 })))
    send(TOPIC, encodeFrame(makeFrame({ sequence: 2 })))
    ingest.flush()

    expect(reasons).toEqual([0x99, 0x90, 0, 0x83, 0])
    expect(problems).toEqual([
      { code: 'payload-malformed', field: 'payload' },
      { code: 'topic-invalid', field: 'tenant' },
      { code: 'sequence-invalid', field: 'sequence', session: 's1', sequence: 1 },
    ])
    expect(journal.pendingRejects().map((id) => journal.readReject(id).code)).toEqual(problems.map(({ code }) => code))
  })

  it('acknowledges nothing when the journal cannot be written', () => {
    receive(makeFrame())
    journal.close()

    const reasons = receive(makeFrame({ sequence: 1 }))

    expect(reasons).toEqual([])
    expect(failure).toBeInstanceOf(Error)
    journal = new Journal(join(folder, 'journal.db'))
  })

  it('forgets a session a day after its last use', () => {
    const key = { tenant: 'clinic', device: 'd1', session: 's1' }
    receive(...frames(0, 20))
    journal.transaction(() => journal.windowSent(closed[0]!))

    journal.prune(NOW)
    const before = journal.findSession(key)
    journal.prune(NOW + 1)

    expect(before?.state).toMatchObject({ closedThrough: 5000, closedSequence: 19 })
    expect(journal.findSession(key)).toBeUndefined()
  })
})

describe('Journal', () => {
  it('can be opened by one process only', () => {
    expect(() => new Journal(join(folder, 'journal.db'))).toThrow('data-in-use: file=journal.db')
  })

  it('rolls back a transaction that throws', () => {
    const write = () =>
      journal.transaction(() => {
        journal.addReject({
          topic: TOPIC,
          contentType: undefined,
          code: 'payload-empty',
          field: undefined,
          payload: new Uint8Array(),
        })
        throw new Error('stop')
      })

    expect(write).toThrow('stop')
    expect(journal.pendingRejects()).toEqual([])
  })

  it('reuses freed space', () => {
    const before = journal.usedBytes
    receive(...frames(0, 20))
    const full = journal.usedBytes

    journal.transaction(() => journal.windowSent(closed[0]!))

    expect(full).toBeGreaterThan(before)
    expect(journal.usedBytes).toBeLessThan(full)
  })
})
