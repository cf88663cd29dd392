import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fillNormal, normalQuantile, threefry2x32 } from '../../../shared/inference/noise.ts'

describe('threefry2x32', () => {
  // The known answers of Random123 (tests/kat_vectors).
  it.each([
    [
      [0, 0, 0, 0],
      ['6b200159', '99ba4efe'],
    ],
    [
      [0xffff_ffff, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff],
      ['1cb996fc', 'bb002be7'],
    ],
    [
      [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
      ['c4923a9c', '483df7a0'],
    ],
  ])('matches the published vector for %j', ([c0, c1, k0, k1], expected) => {
    const block = new Uint32Array(2)

    threefry2x32(c0!, c1!, k0!, k1!, block)

    expect(Array.from(block, (word) => word.toString(16))).toEqual(expected)
  })
})

describe('normalQuantile', () => {
  // By SciPy: -scipy.stats.norm.ppf(p).
  it.each([
    [0.499, 0.0025066308995717666],
    [0.1, 1.2815515655446004],
    [0.07, 1.4757910281791706],
    [0.001, 3.090232306167813],
    [1e-12, 7.034483825301131],
    [2 ** -54, 8.292361075813597],
  ])('is accurate at %d', (p, expected) => {
    expect(normalQuantile(p) / expected - 1).toBeCloseTo(0, 13)
  })
})

describe('fillNormal', () => {
  const noise = (seed: number, stream: number, length = 100_000) => {
    const values = new Float32Array(length)
    fillNormal(values, seed, stream)
    return values
  }

  it('draws from the standard normal distribution', () => {
    const values = noise(7, 0)

    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length
    expect(moment(1)).toBeCloseTo(0, 2)
    expect(moment(2)).toBeCloseTo(1, 1.5)
    expect(moment(3)).toBeCloseTo(0, 1)
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.1)
  })

  it('returns the same bytes as NumPy and SciPy for a seed', () => {
    const sha256 = createHash('sha256')
      .update(new Uint8Array(noise(2026, 1).buffer))
      .digest('hex')

    expect(sha256).toBe('1ffc82e883942a141c9c0c5799765fc79eaef98c22bd951cacd7763f189477fd')
  })

  it('draws independent values per seed, view and step', () => {
    const [first, second, third] = [noise(1, 0), noise(2, 0), noise(1, 1)]

    const correlation = (a: Float32Array, b: Float32Array) =>
      a.reduce((sum, value, i) => sum + value * b[i]!, 0) / a.length
    expect(correlation(first, second)).toBeCloseTo(0, 1.5)
    expect(correlation(first, third)).toBeCloseTo(0, 1.5)
    expect(correlation(first.subarray(0, -1), first.subarray(1))).toBeCloseTo(0, 1.5)
  })

  it('returns the same values whatever the length', () => {
    expect(noise(5, 0, 100)).toEqual(noise(5, 0, 1000).slice(0, 100))
  })
})
