import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLEAN_STEPS, type CleanWindow, decodeClean, encodeClean } from '../../../shared/waveform/clean-codec.ts'

const SAMPLES = 30

const cleanWindows: fc.Arbitrary<CleanWindow> = fc
  .record({
    mask: fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
    codes: fc.array(fc.integer({ min: -CLEAN_STEPS, max: CLEAN_STEPS }), {
      minLength: 12 * SAMPLES,
      maxLength: 12 * SAMPLES,
    }),
    amplitude: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 24, maxLength: 24 }),
  })
  .map(({ mask, codes, amplitude }) => ({
    codes: Int16Array.from(codes, (code, i) => (mask[Math.floor(i / SAMPLES)] ? code : 0)),
    amplitude: Float32Array.from(amplitude),
    leadMask: Uint8Array.from(mask, Number),
  }))

describe('encodeClean', () => {
  it('preserves every step, amplitude and lead in a round trip', () => {
    fc.assert(
      fc.property(cleanWindows, (window) => {
        expect(decodeClean(encodeClean(window), SAMPLES)).toEqual(window)
      }),
    )
  })
})

describe('decodeClean', () => {
  it.each([
    ['empty bytes', Buffer.alloc(0)],
    ['a wrong magic number', Buffer.from('ECG1 and more')],
    ['a header without data', Buffer.concat([Buffer.from('ECC1'), Buffer.alloc(98)])],
  ])('refuses %s with payload-malformed', (_, bytes) => {
    expect(() => decodeClean(bytes, SAMPLES)).toThrow(expect.objectContaining({ code: 'payload-malformed' }))
  })
})
