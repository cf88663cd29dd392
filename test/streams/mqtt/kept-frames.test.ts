import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Frame } from '../../../shared/domain/frame.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { AGAIN_MS, KEPT_S, KeptFrames } from '../../../streams/mqtt/kept-frames.ts'
import { makeFrame } from './helpers/factories.ts'
import { FRAME_MS, Ward, WINDOW_SAMPLES } from './helpers/ward.ts'

const RATE_HZ = WINDOW_SAMPLES / 10
const FRAMES_A_WINDOW = 10_000 / FRAME_MS
const SAMPLES_A_FRAME = WINDOW_SAMPLES / FRAMES_A_WINDOW

const ecgId = (firstSample: number) =>
  streamEcgId({ tenant: 'clinic', source: 'mqtt', device: 'd0', session: 's1', firstSample })

describe('the frames that a device keeps', () => {
  let kept: KeptFrames
  let sequence: number
  beforeEach(() => {
    kept = new KeptFrames(RATE_HZ, ecgId)
    sequence = 0
  })

  const publish = (frames: number, nowMs: number, last: Partial<Frame> = {}) => {
    const payloads = Array.from({ length: frames }, (_, index) => {
      const end = index === frames - 1 ? last : {}
      const frame = makeFrame({ sequence: sequence++, length: SAMPLES_A_FRAME, rateHz: RATE_HZ, ...end })
      const payload = Buffer.from(`frame ${frame.sequence}`)
      kept.keep(frame, payload)(nowMs)
      return payload
    })
    return payloads
  }
  const window = (nowMs = 0) => publish(FRAMES_A_WINDOW, nowMs)
  const dueAt = (nowMs: number) => kept.due(nowMs).length

  it('are dropped when their window has a whole result', () => {
    window()
    kept.answered(ecgId(0), 1, false, 100)

    expect(kept.waiting).toBe(0)
    expect(dueAt(1e9)).toBe(0)
  })

  it('are sent again when their window was closed short, once per version', () => {
    const payloads = window()
    kept.answered(ecgId(0), 1, true, 5000)

    expect(kept.due(5000)).toEqual(payloads)
    kept.answered(ecgId(0), 1, true, 5100)
    expect(dueAt(20_000)).toBe(0)
    kept.answered(ecgId(0), 2, true, 20_001)
    expect(dueAt(20_001)).toBe(FRAMES_A_WINDOW)
    kept.answered(ecgId(0), 3, false, 20_100)
    expect(dueAt(1e9)).toBe(0)
  })

  it('are sent again with growing pauses while nothing is answered', () => {
    window()

    const times: number[] = []
    for (let ms = 0; ms < 600_000; ms += 1000) if (dueAt(ms) > 0) times.push(ms / 1000)
    expect(times).toEqual([30, 90, 210, 330, 450, 570])
  })

  it('are sent again for the oldest window only while nothing is answered', () => {
    const [first] = [window(0), window(0), window(0)]

    expect(kept.due(AGAIN_MS.first)).toEqual(first)
  })

  it('are sent again when a later window has a result, though theirs has none', () => {
    const [first, second] = [window(0), window(0), window(0)]
    kept.answered(ecgId(2 * WINDOW_SAMPLES), 1, false, 1000)

    expect(dueAt(AGAIN_MS.first - 1)).toBe(0)
    expect(kept.due(AGAIN_MS.first)).toEqual([...first, ...second])
  })

  it('wait for the acknowledgement of the broker first', () => {
    kept.keep(makeFrame({ length: SAMPLES_A_FRAME, rateHz: RATE_HZ }), Buffer.from('frame'))

    expect(dueAt(1e9)).toBe(0)
  })

  it('belong to both windows that they touch', () => {
    const payload = Buffer.from('frame')
    const frame = makeFrame({ firstSample: WINDOW_SAMPLES - 10, length: SAMPLES_A_FRAME, rateHz: RATE_HZ })
    kept.keep(frame, payload)(0)
    kept.answered(ecgId(0), 1, false, 10)

    expect(kept.due(AGAIN_MS.first)).toEqual([payload])
    kept.answered(ecgId(WINDOW_SAMPLES), 1, false, 10)
    expect(dueAt(1e9)).toBe(0)
  })

  it('are not kept for a last window that is too short for a result', () => {
    window()
    kept.answered(ecgId(0), 1, false, 10)
    publish(1, 10, { isLast: true })

    expect(kept.waiting).toBe(0)
  })

  it('are dropped after an hour of samples', () => {
    for (let windows = 0; windows < KEPT_S / 10 + 20; windows++) window(0)

    expect(kept.waiting).toBeLessThanOrEqual(KEPT_S / 10 + 1)
  })
})

describe('a broker that loses frames that it acknowledged', () => {
  let ward: Ward
  let kept: KeptFrames
  let answered: number
  let repeated: number

  beforeEach(() => {
    ward = new Ward()
    kept = new KeptFrames(RATE_HZ, ecgId)
    answered = 0
    repeated = 0
  })
  afterEach(() => ward.end())

  /** A second of the device and of the adapter. */
  const second = (isLost: () => boolean, isResultLost: () => boolean = () => false) => {
    // Frames arrive between two looks at overdue windows.
    ward.sleep(400)
    ward.deliver()
    ward.pass(600)
    for (const { firstSample, version, isShort } of ward.sent.slice(answered)) {
      if (!isResultLost()) kept.answered(ecgId(firstSample), version, isShort, ward.nowMs)
    }
    answered = ward.sent.length
    const again = kept.due(ward.nowMs)
    repeated += again.length
    ward.repeat(
      'd0',
      again.filter(() => !isLost()),
    )
  }
  const stream = (frames: number, isLost: () => boolean, isLast: boolean) => {
    ward.take('d0', frames, isLast)
    ward.publish('d0', (all) => {
      for (const frame of all) kept.keep(frame, encodeFrame(frame))(ward.nowMs)
      return all.filter(() => !isLost())
    })
  }
  const never = () => false
  const lengths = () => ward.current('d0').map(({ samples }) => samples.length)

  it('costs no sample: each window is complete in the end', () => {
    const steps = fc.array(
      fc.record({
        frames: fc.integer({ min: 1, max: 60 }),
        loses: fc.constantFrom(0, 0, 0.3, 1),
        // 2 is real time; more is a backlog.
        aSecond: fc.constantFrom(2, 8, 20),
      }),
      { minLength: 1, maxLength: 12 },
    )
    const chance = fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))

    fc.assert(
      fc.property(steps, chance, (all, random) => {
        ward.end()
        ward = new Ward()
        kept = new KeptFrames(RATE_HZ, ecgId)
        answered = 0
        let total = 0
        for (const [index, { frames, loses, aSecond }] of all.entries()) {
          const isLost = () => random.next().value! < loses
          const isLast = index === all.length - 1
          for (let left = frames; left > 0; left -= aSecond) {
            const count = Math.min(aSecond, left)
            stream(count, isLost, isLast && left <= aSecond)
            total += count
            second(isLost)
          }
        }
        for (let seconds = 0; kept.waiting > 0 && seconds < 7200; seconds++) second(never)

        const rest = total % FRAMES_A_WINDOW
        const last = rest * SAMPLES_A_FRAME >= RATE_HZ ? [rest * SAMPLES_A_FRAME] : []
        expect(ward.problems).toEqual([])
        expect(lengths()).toEqual([...Array(Math.floor(total / FRAMES_A_WINDOW)).fill(WINDOW_SAMPLES), ...last])
        expect(ward.differences('d0')).toEqual([])
        expect(ward.current('d0').filter(({ isShort }) => isShort)).toEqual([])
        expect(new Set(ward.sent.map(({ firstSample, version }) => `${firstSample}/${version}`)).size).toBe(
          ward.sent.length,
        )
        expect(ward.heldBytes).toBe(0)
      }),
      { numRuns: 50 },
    )
  }, 60_000)

  it('makes no new version from repeated frames when only a result was lost', () => {
    for (let windows = 0; windows < 3; windows++) {
      stream(FRAMES_A_WINDOW, never, false)
      second(never, () => true)
    }
    const before = ward.sent.length
    for (let seconds = 0; seconds < 600; seconds++) second(never)

    expect(before).toBe(3)
    expect(repeated).toBe(6 * FRAMES_A_WINDOW)
    expect(ward.sent).toHaveLength(before)
    expect(ward.problems).toEqual([])
    expect(ward.heldBytes).toBe(0)
  })

  it('closes the last window once its last frame was sent again', () => {
    stream(FRAMES_A_WINDOW + 9, never, false)
    stream(1, () => true, true)
    for (let seconds = 0; seconds < 40; seconds++) second(never)

    expect(lengths()).toEqual([WINDOW_SAMPLES, WINDOW_SAMPLES / 2])
    expect(ward.sent.map(({ version, isShort }) => [version, isShort])).toEqual([
      [1, false],
      [1, false],
    ])
  })
})
