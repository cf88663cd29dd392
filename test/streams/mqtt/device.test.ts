import { describe, expect, it } from 'vitest'
import { MISSING_FRAME_SAMPLE } from '../../../shared/domain/frame.ts'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { framesOf } from '../../../streams/mqtt/device.ts'
import { decodeFrame, encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { makeRecording, NOW } from './helpers/factories.ts'

const session = { session: 's1', sessionStartedAtMs: NOW }
const one = (gainUv: number, ...samples: readonly number[]): Recording => ({
  format: 'test',
  rateHz: 500,
  leads: [{ name: 'I', gainUv, samples: Int32Array.from(samples) }],
})

describe('toWire', () => {
  it('sends samples unchanged when they fit int16', () => {
    const { leads, rows, coarsened } = toWire(one(0.205, 32_767, -32_767, MISSING_SAMPLE))

    expect(leads).toEqual([{ name: 'I', gainUv: 0.205 }])
    expect(rows[0]).toEqual(Int16Array.of(32_767, -32_767, MISSING_FRAME_SAMPLE))
    expect(coarsened).toEqual([])
  })

  it.each([
    ['the lowest int16, which means a missing sample', 1, -32_768, 2, -16_384],
    ['a 24-bit converter', 0.024, 400_000, 0.312, 30_769],
    ['a gain in nanovolts', 0.001, 5000, 0.01, 500],
  ])('uses a coarser gain for %s, and says so', (_, gainUv, sample, wireGain, wireSample) => {
    const { leads, rows, coarsened } = toWire(one(gainUv, sample))

    expect(leads[0]!.gainUv).toBeCloseTo(wireGain, 9)
    expect(rows[0]![0]).toBe(wireSample)
    expect(coarsened).toEqual(['I'])
  })
})

describe('framesOf', () => {
  it('cuts a recording into frames that the codec accepts, the last one short', () => {
    const recording = makeRecording(1.1)

    const frames = [...framesOf(recording, toWire(recording), session)]

    expect(frames.map(({ sequence, firstSample, isLast }) => [sequence, firstSample, isLast])).toEqual([
      [0, 0, false],
      [1, 250, false],
      [2, 500, true],
    ])
    for (const frame of frames) expect(decodeFrame(encodeFrame(frame), undefined, NOW)).toEqual(frame)
  })

  it('continues the session when the recording loops', () => {
    const recording = one(1, ...Array.from({ length: 120 }, (_, sample) => sample))

    const frames = framesOf(recording, toWire(recording), { ...session, frameMs: 200, loop: true })
    const [, second] = [frames.next().value, frames.next().value]

    expect(second).toMatchObject({ sequence: 1, firstSample: 100, isLast: false })
    expect([...second!.samples.subarray(19, 22)]).toEqual([119, 0, 1])
  })
})
