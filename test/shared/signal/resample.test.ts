import { describe, expect, it } from 'vitest'
import { Resampler } from '../../../shared/signal/resample.ts'

const sine = (frequencyHz: number, rateHz: number, seconds = 10) =>
  Float64Array.from({ length: rateHz * seconds }, (_, i) => Math.sin((2 * Math.PI * frequencyHz * i) / rateHz))

/** Largest absolute value away from the ends, where a filter has only half its samples. */
const innerMax = (values: Float64Array) => values.subarray(100, -100).reduce((max, v) => Math.max(max, Math.abs(v)), 0)

describe('Resampler', () => {
  it.each([100, 128, 240, 250, 257, 360, 400, 500, 512, 1000, 1024, 2000])(
    'preserves a 15 Hz sine from %i Hz',
    (rateHz) => {
      const output = new Float64Array(5000)

      new Resampler(rateHz, 500).run(sine(15, rateHz), output)

      const expected = sine(15, 500)
      expect(innerMax(output.map((value, i) => value - expected[i]!))).toBeLessThan(0.005)
    },
  )

  it('removes frequencies above the target’s Nyquist limit', () => {
    const output = new Float64Array(5000)

    new Resampler(2000, 500).run(sine(320, 2000), output)

    expect(innerMax(output)).toBeLessThan(0.005)
  })

  it.each([100, 360, 1000])('preserves a constant up to both ends from %i Hz', (rateHz) => {
    const output = new Float64Array(5000)

    new Resampler(rateHz, 500).run(new Float64Array(rateHz * 10).fill(3), output)

    for (const value of output) expect(value).toBeCloseTo(3, 10)
  })

  it('copies a recording at the target rate, and repeats the last sample when it is short', () => {
    const output = new Float64Array(6)

    new Resampler(500, 500).run(Float64Array.of(1, 2, 3, 4), output)

    expect([...output]).toEqual([1, 2, 3, 4, 4, 4])
  })
})
