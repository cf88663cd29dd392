import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { FRAME_MS, IDLE_MS, Ward, WINDOW_SAMPLES } from './helpers/ward.ts'

const DEVICES = ['d0', 'd1', 'd2']

/** What happens between two periods of streaming, for this number of seconds. */
const pauseKinds = ['stall', 'disconnect', 'deaf', 'away', 'silence'] as const
type PauseKind = (typeof pauseKinds)[number]

/** Devices go on taking frames while the adapter is deaf to them. */
function keepTaking(ward: Ward, seconds: number): void {
  for (const device of DEVICES) ward.take(device, Math.round((seconds * 1000) / FRAME_MS))
}

function pauseFor(ward: Ward, kind: PauseKind, seconds: number, silent: string): void {
  const ms = seconds * 1000
  keepTaking(ward, seconds)
  if (kind === 'stall') {
    for (const device of DEVICES) ward.publish(device)
    ward.sleep(ms)
    // The timer fires before the socket is read.
    ward.upkeep()
  } else if (kind === 'disconnect') {
    ward.disconnect()
    ward.pass(ms)
    ward.connect()
    ward.upkeep()
    ward.pass(2000)
  } else if (kind === 'deaf') {
    ward.goDeaf(Math.min(ms, 22_000))
    ward.pass(Math.max(0, ms - 22_000))
    ward.connect()
  } else if (kind === 'away') {
    for (const device of DEVICES) ward.publish(device)
    ward.kill()
    ward.sleep(ms)
    ward.start()
    ward.upkeep()
  } else {
    for (const device of DEVICES) if (device !== silent) ward.publish(device)
    for (let left = seconds; left > 0; left--) {
      ward.pass(1000)
      ward.deliver()
    }
  }
}

function stream(ward: Ward, frames: number, arrange?: (frames: readonly Frame[]) => readonly Frame[]): void {
  for (let left = frames; left > 0; left--) {
    for (const device of DEVICES) {
      ward.take(device, 1)
      ward.publish(device, arrange)
    }
    ward.pass(FRAME_MS)
    ward.deliver()
  }
}

/** The last frames, and the longest wait. */
function finish(ward: Ward): void {
  for (const device of DEVICES) {
    ward.take(device, 3, true)
    ward.publish(device)
  }
  ward.pass(1000)
  ward.deliver()
  for (let seconds = 0; seconds < 20; seconds += 5) ward.pass(5000)
}

describe('the adapter across pauses', () => {
  it.each(pauseKinds)('loses no window in a pause of 20 s: %s', (kind) => {
    const ward = new Ward()
    stream(ward, 27)

    pauseFor(ward, kind, 20, 'd1')
    stream(ward, 33)
    finish(ward)

    expect(ward.problems).toEqual([])
    expect(DEVICES.flatMap((device) => ward.differences(device))).toEqual([])
    expect(ward.sent.map(({ version }) => version)).toEqual(ward.sent.map(() => 1))
    expect(ward.sent.filter(({ samples }) => samples.length < WINDOW_SAMPLES)).toHaveLength(DEVICES.length)
    expect(ward.heldBytes).toBe(0)
    ward.end()
  })

  it('sends each window exactly once and complete, for any sequence of pauses', () => {
    const pauses = fc.array(
      fc.record({
        before: fc.integer({ min: 1, max: 25 }),
        kind: fc.constantFrom(...pauseKinds),
        seconds: fc.integer({ min: 1, max: IDLE_MS / 1000 - 30 }),
        silent: fc.constantFrom(...DEVICES),
      }),
      { minLength: 1, maxLength: 4 },
    )

    fc.assert(
      fc.property(pauses, (all) => {
        const ward = new Ward()
        try {
          for (const { before, kind, seconds, silent } of all) {
            stream(ward, before)
            pauseFor(ward, kind, seconds, silent)
          }
          stream(ward, 5)
          finish(ward)

          expect(ward.problems).toEqual([])
          expect(DEVICES.flatMap((device) => ward.differences(device))).toEqual([])
          expect(ward.sent.filter(({ version, isShort }) => version > 1 || isShort)).toEqual([])
          expect(ward.heldBytes).toBe(0)
        } finally {
          ward.end()
        }
      }),
      { numRuns: 25 },
    )
  }, 60_000)

  it('closes a window with a gap warning when the device is silent for longer than the limit', () => {
    const ward = new Ward()
    stream(ward, 7)

    for (let seconds = 0; seconds < IDLE_MS / 1000; seconds++) ward.pass(1000)

    expect(ward.sent).toMatchObject(DEVICES.map((device) => ({ device, firstSample: 0, version: 1, isShort: true })))
    expect(ward.sent.map(({ samples }) => samples.length)).toEqual(DEVICES.map(() => 350))
    ward.end()
  })
})
