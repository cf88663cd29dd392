import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { type ClosedWindow, GRACE_MS, WindowAssembler, windowWaveform } from '../../../streams/mqtt/window-assembler.ts'
import { makeFrame, NOW, sampleAt } from './helpers/factories.ts'

const frames = (count: number, last = false) =>
  Array.from({ length: count }, (_, sequence) => makeFrame({ sequence, isLast: last && sequence === count - 1 }))

/** Offers frames in order, all at one time, and collects the windows that close. */
function offerAll(assembler: WindowAssembler, offered: readonly Frame[], nowMs = 0): ClosedWindow[] {
  return offered.flatMap((frame) => {
    const offer = assembler.offer(frame, nowMs)
    return offer.kind === 'accepted' ? offer.closed : []
  })
}

const begin = () => WindowAssembler.begin(makeFrame())

describe('WindowAssembler', () => {
  it('closes a window with the frame that completes it', () => {
    const assembler = begin()

    const early = offerAll(assembler, frames(19))
    const closed = offerAll(assembler, [makeFrame({ sequence: 19 })])

    expect(early).toEqual([])
    expect(closed).toEqual([{ firstSample: 0, samples: 5000 }])
  })

  it('splits a frame across the end of a window', () => {
    const long = Array.from({ length: 13 }, (_, sequence) => makeFrame({ sequence, length: 800 }))

    const closed = offerAll(WindowAssembler.begin(long[0]!), long)

    expect(closed.map(({ firstSample }) => firstSample)).toEqual([0, 5000])
  })

  it('gives the same windows for any order and repeats within the reorder horizon', () => {
    const stream = frames(47, true)
    // A frame of 0.5 s can be overtaken by fewer than four others.
    const delays = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: stream.length, maxLength: stream.length })
    const repeats = fc.array(fc.nat(stream.length - 1), { maxLength: 10 })

    fc.assert(
      fc.property(delays, repeats, (delay, repeated) => {
        const sent = [...stream.keys(), ...repeated].map((index) => ({ index, at: index + delay[index]! }))
        const arrivals = sent.sort((a, b) => a.at - b.at).map(({ index }) => stream[index]!)

        const assembler = WindowAssembler.begin(arrivals[0]!)
        const closed = arrivals.flatMap((frame, index) => offerAll(assembler, [frame], index * 500))

        expect(closed).toEqual([
          { firstSample: 0, samples: 5000 },
          { firstSample: 5000, samples: 5000 },
          { firstSample: 10_000, samples: 1750 },
        ])
      }),
    )
  })

  it('gives the same windows when it is stored and restored after any frame', () => {
    const stream = frames(45, true)
    const expected = offerAll(begin(), stream)

    let assembler = begin()
    const closed = stream.flatMap((frame) => {
      const now = offerAll(assembler, [frame])
      assembler = new WindowAssembler(structuredClone(assembler.state))
      return now
    })

    expect(closed).toEqual(expected)
    expect(expected).toHaveLength(3)
  })

  it('gives up a missing frame 5 s after a frame arrives that starts 2 s past the window', () => {
    const assembler = begin()
    const lossy = frames(24).filter(({ sequence }) => sequence !== 5)

    const before = [...offerAll(assembler, lossy), ...assembler.closeReady(60_000)]
    const overdue = offerAll(assembler, [makeFrame({ sequence: 24 })], 60_000)
    const early = assembler.closeReady(60_000 + GRACE_MS - 1)
    const after = assembler.closeReady(60_000 + GRACE_MS)

    expect([before, overdue, early]).toEqual([[], [], []])
    expect(after).toEqual([{ firstSample: 0, samples: 5000 }])
  })

  it('waits for a frame that arrives late in a backlog', () => {
    const assembler = begin()
    const backlog = frames(60)

    offerAll(
      assembler,
      backlog.filter(({ sequence }) => sequence !== 5),
    )
    const closed = offerAll(assembler, [backlog[5]!])

    expect(closed.map(({ firstSample }) => firstSample)).toEqual([0, 5000, 10_000])
  })

  it('makes no window of an empty pause, and does not wait when sequence numbers continue', () => {
    const resumed = Array.from({ length: 20 }, (_, index) =>
      makeFrame({ sequence: 20 + index, firstSample: 30_000 + index * 250 }),
    )

    const closed = offerAll(begin(), [...frames(20), ...resumed])

    expect(closed.map(({ firstSample }) => firstSample)).toEqual([0, 30_000])
  })

  it('gives up missing windows when later ones have waited long enough', () => {
    const assembler = begin()
    const resumed = Array.from({ length: 20 }, (_, index) =>
      makeFrame({ sequence: 120 + index, firstSample: 30_000 + index * 250 }),
    )

    const early = offerAll(assembler, resumed)
    const closed = assembler.closeReady(GRACE_MS)

    expect(early).toEqual([])
    expect(closed.map(({ firstSample }) => firstSample)).toEqual([30_000])
  })

  it('closes a window at once when its missing samples were never sent', () => {
    const gap = (sequence: number) => (sequence < 8 ? 0 : 400)
    const sent = Array.from({ length: 19 }, (_, sequence) =>
      makeFrame({ sequence, firstSample: sequence * 250 + gap(sequence) }),
    )

    const closed = offerAll(begin(), sent)

    expect(closed).toEqual([{ firstSample: 0, samples: 5000 }])
  })

  it('waits for a whole window that the next one overtook', () => {
    const [first, second] = [0, 1].map((sequence) => makeFrame({ sequence, length: 5000 }))
    const assembler = begin()

    const overtaken = offerAll(assembler, [second!])
    const closed = offerAll(assembler, [first!])

    expect(overtaken).toEqual([])
    expect(closed.map(({ firstSample }) => firstSample)).toEqual([0, 5000])
  })

  it('closes the last, partial window as soon as the last frame arrives', () => {
    expect(offerAll(begin(), frames(6, true))).toEqual([{ firstSample: 0, samples: 1500 }])
  })

  it('drops a last window shorter than a second', () => {
    const assembler = begin()

    const closed = offerAll(assembler, [makeFrame({ length: 499, isLast: true })])

    expect(closed).toEqual([])
    expect(assembler.isOpen).toBe(false)
  })

  it('closes the rest of a silent session, including gaps', () => {
    const assembler = begin()
    offerAll(
      assembler,
      frames(23).filter(({ sequence }) => sequence !== 3),
    )

    const closed = assembler.close()

    expect(closed).toEqual([
      { firstSample: 0, samples: 5000 },
      { firstSample: 5000, samples: 750 },
    ])
    expect(assembler.isOpen).toBe(false)
  })

  it('starts at the window of the first frame it receives', () => {
    const met = Array.from({ length: 20 }, (_, index) =>
      makeFrame({ sequence: 7 + index, firstSample: 8000 + index * 250 }),
    )

    const assembler = WindowAssembler.begin(met[0]!)
    const closed = [...offerAll(assembler, met), ...assembler.closeReady(GRACE_MS)]

    expect(closed).toEqual([{ firstSample: 5000, samples: 5000 }])
  })

  it('holds at most 17 s of frames, for any session length and loss', () => {
    const assembler = begin()

    const held = frames(2000)
      .filter(({ sequence }) => sequence % 17 !== 3)
      .map((frame) => {
        assembler.offer(frame, frame.sequence * 500)
        return assembler.state.frames.length
      })

    expect(Math.max(...held)).toBeLessThanOrEqual(34)
  })

  it.each<readonly [string, Frame, string]>([
    ['the same frame again', makeFrame({ sequence: 21 }), 'repeated'],
    ['a frame of a closed window', makeFrame({ sequence: 3 }), 'late'],
  ])('ignores %s', (_, frame, kind) => {
    const assembler = begin()
    offerAll(assembler, frames(22))

    expect(assembler.offer(frame, 0)).toEqual({ kind })
  })

  it('ignores a late frame of a window that was closed with a gap', () => {
    const assembler = begin()
    offerAll(
      assembler,
      frames(25).filter(({ sequence }) => sequence !== 19),
    )
    assembler.closeReady(GRACE_MS)

    expect(assembler.offer(makeFrame({ sequence: 19 }), GRACE_MS)).toEqual({ kind: 'late' })
  })

  const other = new Int16Array(500)

  it.each<readonly [string, Partial<Frame>, string, string]>([
    ['a sequence number reused for other samples', { sequence: 21, samples: other }, 'sequence-invalid', 'sequence'],
    ['a sequence number that goes backwards', { sequence: 3, firstSample: 5500 }, 'sequence-invalid', 'sequence'],
    ['a first sample that goes backwards', { sequence: 22, firstSample: 5250 }, 'sequence-invalid', 'firstSample'],
    ['a first sample in a closed window', { sequence: 22, firstSample: 0 }, 'sequence-invalid', 'firstSample'],
    ['an overlap', { sequence: 22, firstSample: 5400 }, 'sequence-invalid', 'firstSample'],
    ['a jump of two hours', { sequence: 22, firstSample: 7200 * 500 }, 'clock-invalid', 'firstSample'],
    ['another start', { sequence: 22, sessionStartedAtMs: NOW }, 'clock-invalid', 'sessionStartedAtMs'],
    ['another rate', { sequence: 22, rateHz: 250 }, 'session-changed', 'rateHz'],
    [
      'another gain',
      {
        sequence: 22,
        leads: [
          { name: 'I', gainUv: 2.5 },
          { name: 'II', gainUv: 5 },
        ],
      },
      'session-changed',
      'leads[1].gainUv',
    ],
    [
      'another lead',
      {
        sequence: 22,
        leads: [
          { name: 'I', gainUv: 2.5 },
          { name: 'V1', gainUv: 2.5 },
        ],
      },
      'session-changed',
      'leads[1].name',
    ],
    ['fewer leads', { sequence: 22, leads: [{ name: 'I', gainUv: 2.5 }] }, 'session-changed', 'leads'],
  ])('refuses %s and keeps its state', (_, fields, code, field) => {
    const assembler = begin()
    offerAll(assembler, frames(22))
    const before = structuredClone(assembler.state)

    expect(() => assembler.offer(makeFrame(fields), 0)).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ field }) }),
    )
    expect(assembler.state).toEqual(before)
  })

  it('refuses frames after the last one', () => {
    const assembler = begin()
    offerAll(assembler, [makeFrame({ sequence: 0 }), makeFrame({ sequence: 2, isLast: true })])

    expect(() => assembler.offer(makeFrame({ sequence: 3 }), 0)).toThrow(
      expect.objectContaining({ code: 'sequence-invalid' }),
    )
  })
})

describe('windowWaveform', () => {
  it('puts every sample in its place, and MISSING_SAMPLE where none arrived', () => {
    const { sessionStartedAtMs, rateHz, leads } = makeFrame()
    const lossy = Array.from({ length: 15 }, (_, sequence) => makeFrame({ sequence, length: 800 })).filter(
      ({ sequence }) => sequence !== 8,
    )

    const waveform = windowWaveform({ sessionStartedAtMs, rateHz, leads }, { firstSample: 5000, samples: 5000 }, lossy)

    const expected = leads.map((_, lead) =>
      Int32Array.from({ length: 5000 }, (_, at) => {
        const isLost = at >= 1400 && at < 2200
        return isLost ? MISSING_SAMPLE : sampleAt(lead, 5000 + at)
      }),
    )
    expect(waveform.leads.map(({ samples }) => samples)).toEqual(expected)
  })
})
