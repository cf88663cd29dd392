import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { FRAME_MS, IDLE_MS, Ward, WINDOW_SAMPLES } from './helpers/ward.ts'

const HOUR_S = 3600

describe('late frames of a closed window', () => {
  let ward: Ward

  beforeEach(() => {
    ward = new Ward()
  })
  afterEach(() => ward.end())

  const stream = (device: string, frames: number) => {
    for (let left = frames; left > 0; left--) {
      ward.take(device, 1)
      ward.publish(device)
      ward.pass(FRAME_MS)
      ward.deliver()
    }
  }
  const bySilence = (device: string, seconds: number) => {
    ward.take(device, (seconds * 1000) / FRAME_MS)
    ward.pass(seconds * 1000)
  }
  const versions = () => ward.sent.map(({ firstSample, version, isShort }) => [firstSample, version, isShort])

  it.each([10, 60, HOUR_S])('make a new version when a device reconnects after %i s', (seconds) => {
    stream('d0', 27)

    bySilence('d0', seconds)
    ward.publish('d0')
    ward.deliver()
    ward.pass(1000)

    const isCorrected = seconds * 1000 > IDLE_MS
    expect(ward.problems).toEqual([])
    expect(ward.differences('d0').filter((each) => !each.includes('lost'))).toEqual([])
    expect(ward.current('d0').every(({ isShort }) => !isShort)).toBe(true)
    expect(versions().filter(([, version]) => version === 2)).toEqual(isCorrected ? [[WINDOW_SAMPLES, 2, false]] : [])
    expect(ward.current('d0')).toHaveLength(Math.floor((27 * FRAME_MS + seconds * 1000) / 10_000))
  })

  it('fill earlier windows after newer frames arrived first', () => {
    stream('d0', 20)
    bySilence('d0', 1.2 * HOUR_S)

    ward.publish('d0', (kept) => [...kept.slice(-20), ...kept.slice(0, -20)])
    ward.deliver()
    ward.pass(1000)

    expect(ward.problems).toEqual([])
    expect(ward.differences('d0')).toEqual([])
    expect(ward.heldBytes).toBe(0)
  })

  it('make a version of what arrived when the rest does not come', () => {
    stream('d0', 4)
    ward.pass(IDLE_MS)

    ward.take('d0', 6)
    ward.publish('d0')
    ward.deliver()
    ward.pass(15_000)
    ward.take('d0', 10)
    ward.publish('d0')
    ward.deliver()

    expect(versions()).toEqual([
      [0, 1, true],
      [0, 2, true],
      [0, 3, false],
    ])
    expect(ward.sent.map(({ samples }) => samples.length)).toEqual([200, 500, 1000])
    expect(ward.differences('d0')).toEqual([])
  })

  it('change nothing when they arrive twice', () => {
    stream('d0', 4)
    ward.pass(IDLE_MS)
    ward.take('d0', 16)
    ward.publish('d0', (kept) => [...kept, ...kept])
    ward.deliver()
    ward.pass(60_000)

    expect(ward.problems).toEqual([])
    expect(versions()).toEqual([
      [0, 1, true],
      [0, 2, false],
    ])
  })

  it('leave the windows behind an overdue one as they are when one of its frames closes them all', () => {
    const publish = (frames: number, isSent: (at: number) => boolean) => {
      ward.take('d0', frames)
      let missing: readonly Frame[] = []
      ward.publish('d0', (kept) => {
        missing = kept.filter((_, at) => !isSent(at))
        return kept.filter((_, at) => isSent(at))
      })
      ward.deliver()
      return missing
    }
    const [fifth] = publish(60, (at) => at !== 5 && at !== 6)
    // The time is up, and the frame arrives before the next look at overdue windows.
    ward.pass(4000)
    ward.sleep(1000)
    ward.repeat('d0', [encodeFrame(fifth!)])
    ward.deliver()

    expect(versions()).toEqual([
      [0, 1, true],
      [WINDOW_SAMPLES, 1, false],
      [2 * WINDOW_SAMPLES, 1, false],
    ])
    expect(ward.differences('d0')).toEqual([])
    // Nothing has arrived for the first window since.
    ward.pass(60_000)
    expect(ward.sent).toHaveLength(3)
  })

  it('survive a crash of the process', () => {
    stream('d0', 4)
    ward.pass(IDLE_MS)
    ward.take('d0', 6)
    ward.publish('d0')
    ward.deliver()

    ward.kill()
    ward.start()
    ward.pass(20_000)

    expect(versions()).toEqual([
      [0, 1, true],
      [0, 2, true],
    ])
  })

  it('are refused with a reason when they contradict received samples', () => {
    stream('d0', 4)
    ward.pass(IDLE_MS)
    const [overlapping, numbered]: Partial<Frame>[] = [
      { sequence: 4, firstSample: 170 },
      { sequence: 2, firstSample: 200 },
    ]
    ward.take('d0', 2)
    ward.publish('d0', (kept) => kept.map((frame, at) => ({ ...frame, ...[overlapping, numbered][at] })))
    ward.deliver()

    expect(ward.problems).toMatchObject([
      { code: 'sequence-invalid', field: 'firstSample' },
      { code: 'sequence-invalid', field: 'sequence' },
    ])
  })
})

describe('random silence, reordering, repeats and kills', () => {
  it('leave each acknowledged sample in exactly one current window', () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.record({ kind: fc.constant('stream'), frames: fc.integer({ min: 1, max: 30 }) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('silence'), frames: fc.integer({ min: 1, max: 800 }) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill'), frames: fc.constant(0) }) },
      ),
      { minLength: 2, maxLength: 8 },
    )
    // The position of each frame of a backlog, and which ones are repeated.
    const disorder = fc.infiniteStream(fc.nat(999))

    fc.assert(
      fc.property(steps, disorder, fc.boolean(), (all, random, isShuffled) => {
        const ward = new Ward()
        const next = () => random.next().value!
        const arrange = (frames: readonly Frame[]) => {
          const repeated = frames.filter(() => next() % 10 === 0)
          const keyed = [...frames, ...repeated].map((frame) => [isShuffled ? next() : frame.sequence, frame] as const)
          return keyed.sort(([a], [b]) => a - b).map(([, frame]) => frame)
        }
        try {
          for (const { kind, frames } of all) {
            ward.take('d0', frames)
            if (kind === 'silence') ward.pass(frames * FRAME_MS)
            if (kind === 'kill') {
              ward.kill()
              ward.sleep(5000)
              ward.start()
            }
            ward.publish('d0', arrange)
            ward.deliver()
            ward.pass(FRAME_MS)
          }
          ward.take('d0', 1, true)
          ward.publish('d0')
          ward.deliver()
          ward.pass(2 * IDLE_MS)

          expect(ward.problems).toEqual([])
          expect(ward.differences('d0')).toEqual([])
          expect(ward.current('d0').filter(({ isShort }) => isShort)).toEqual([])
          expect(ward.heldBytes).toBe(0)
        } finally {
          ward.end()
        }
      }),
      { numRuns: 25 },
    )
  }, 60_000)
})
