import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { framesOf } from '../../../streams/mqtt/device.ts'
import { decodeFrame, decodeWindow, encodeFrame, encodeWindow } from '../../../streams/mqtt/frame-codec.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'

const NOW = Date.parse('2026-01-02T00:00:00Z')
const FRAME: Frame = {
  session: 's1',
  sequence: 3,
  firstSample: 300,
  sessionStartedAtMs: NOW - 60_000,
  rateHz: 250,
  leads: [
    { name: 'I', gainUv: 5 },
    { name: 'II', gainUv: 5 },
    { name: 'III', gainUv: 5 },
    { name: 'V1', gainUv: 2.5 },
  ],
  samples: Int16Array.from({ length: 400 }, (_, i) => (i % 37) * 11 - 200),
  isLast: false,
}

describe('packed samples', () => {
  it('decode to the same frame as plain samples, for any values', () => {
    const sample = fc.oneof(fc.constantFrom(-32_768, 32_767, 0), fc.integer({ min: -32_768, max: 32_767 }))

    fc.assert(
      fc.property(fc.array(sample, { minLength: 50, maxLength: 60 }), (values) => {
        const samples = Int16Array.from({ length: 4 * values.length }, (_, i) => values[i % values.length]!)
        const frame = { ...FRAME, samples }

        expect(decodeFrame(encodeFrame(frame, 'packed'), undefined, NOW)).toEqual(
          decodeFrame(encodeFrame(frame), undefined, NOW),
        )
      }),
    )
  })

  it('decode to the same window as plain samples', () => {
    const { sequence: _, isLast: __, ...window } = { ...FRAME, firstSample: 2500 }

    expect(decodeWindow(encodeWindow(window, 'packed'), undefined, NOW)).toEqual(
      decodeWindow(encodeWindow(window), undefined, NOW),
    )
  })

  it('fit 1.5 s of twelve leads at 500 Hz into one message unit of AWS IoT Core', async () => {
    const recording = await readRecording('functions/cli/demo/virtual-ecg.hea')
    const framing = { session: 's1', sessionStartedAtMs: NOW - 60_000, frameMs: 1500 }

    const sizes = [...framesOf(recording, toWire(recording), framing)].map(
      (frame) => encodeFrame(frame, 'packed').length,
    )

    expect(recording.rateHz).toBe(500)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(5 * 1024)
  })

  const frameWith = (changes: object) => {
    const json = JSON.parse(encodeFrame(FRAME, 'json').toString()) as Record<string, unknown>
    return Buffer.from(JSON.stringify({ ...json, samples: '', ...changes }))
  }

  it.each([
    ['both kinds of samples', { packed: 'AAAA', packedCount: 100, samples: 'AAAA' }, 'field-invalid', 'packed'],
    ['bytes that are not zstd', { packed: 'AAAA', packedCount: 100 }, 'payload-malformed', 'packed'],
    ['no count', { packed: 'AAAA' }, 'payload-empty', 'packedCount'],
    ['a count beyond a window', { packed: 'AAAA', packedCount: 1e9 }, 'field-invalid', 'packedCount'],
  ])('are refused with %s', (_, changes, code, field) => {
    expect(() => decodeFrame(frameWith(changes), undefined, NOW)).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ field }) }),
    )
  })

  it('are refused when they are fewer than the count', () => {
    const packed = encodeFrame(FRAME, 'packed')
    const shorter = encodeFrame({ ...FRAME, samples: FRAME.samples.subarray(0, 396) }, 'packed')

    expect(packed.equals(shorter)).toBe(false)
    expect(() => decodeFrame(packed.subarray(0, packed.length - 3), undefined, NOW)).toThrow()
  })
})
