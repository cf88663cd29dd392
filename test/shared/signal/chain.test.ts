import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { removeTrend } from '../../../shared/signal/baseline.ts'
import { SignalChain } from '../../../shared/signal/chain.ts'
import { CARDIACNETS_V1, seasonalPeriod } from '../../../shared/signal/profile.ts'
import { smooth } from '../../../shared/signal/savitzky-golay.ts'
import { WaveletDenoiser } from '../../../shared/signal/wavelet-denoiser.ts'

/** Made by `python -m cardiacnets.reference.make_vectors` with statsmodels, PyWavelets and SciPy. */
const vectors = new URL('vectors/', import.meta.url)
const index: {
  readonly arrays: readonly string[]
  readonly cases: readonly VectorCase[]
} = JSON.parse(readFileSync(new URL('index.json', vectors), 'utf8'))

interface VectorCase {
  readonly name: string
  readonly file: string
  readonly leads: number
  readonly samples: number
  readonly heartRateBpm: number
  readonly period: number
}

/** One array of a vector, a lead at a time. */
function read(vector: VectorCase, array: string): Float64Array[] {
  const bytes = readFileSync(new URL(vector.file, vectors))
  const all = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  const length = array === 'amplitude' ? 2 : vector.samples
  const start = index.arrays.indexOf(array) * vector.leads * vector.samples
  return Array.from({ length: vector.leads }, (_, lead) =>
    all.slice(start + lead * length, start + (lead + 1) * length),
  )
}

const maxDifference = (a: Float64Array, b: Float64Array) =>
  a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i]!)), 0)

const subtract = (a: Float64Array, b: Float64Array) => a.map((value, i) => value - b[i]!)

const PARITY = 1e-10

describe.each(index.cases)('profile cardiacnets-v1 on $name', (vector) => {
  const input = read(vector, 'input')

  it('finds the reference’s period', () => {
    expect(seasonalPeriod(CARDIACNETS_V1, vector.heartRateBpm)).toBe(vector.period)
  })

  it('removes the same trend as statsmodels', () => {
    const trend = read(vector, 'trend')

    for (const [lead, samples] of input.entries()) {
      const output = new Float64Array(samples.length)
      removeTrend(samples, vector.period, output)

      expect(maxDifference(output, subtract(samples, trend[lead]!))).toBeLessThan(PARITY)
    }
  })

  it('denoises like PyWavelets', () => {
    const [trend, denoised] = [read(vector, 'trend'), read(vector, 'denoised')]
    const denoiser = new WaveletDenoiser(CARDIACNETS_V1)

    for (const [lead, samples] of input.entries()) {
      denoiser.signal.set(subtract(samples, trend[lead]!))
      denoiser.run()

      expect(maxDifference(denoiser.signal, denoised[lead]!)).toBeLessThan(PARITY)
    }
  })

  it('smooths like SciPy, including the edges', () => {
    const smoothed = read(vector, 'smoothed')

    for (const [lead, samples] of read(vector, 'denoised').entries()) {
      const output = new Float64Array(samples.length)
      const extremes = { min: 0, max: 0 }
      smooth(samples, output, extremes)

      expect(maxDifference(output, smoothed[lead]!)).toBeLessThan(PARITY)
      expect(extremes).toEqual({ min: Math.min(...output), max: Math.max(...output) })
    }
  })

  it('agrees with the reference end to end when one instance processes all leads', () => {
    const [scaled, amplitude] = [read(vector, 'scaled'), read(vector, 'amplitude')]
    const chain = new SignalChain(CARDIACNETS_V1)

    for (const [lead, samples] of input.entries()) {
      const output = new Float64Array(samples.length)
      const { min, max } = chain.run(samples, vector.period, output)

      expect(maxDifference(output, scaled[lead]!)).toBeLessThan(PARITY)
      expect(maxDifference(Float64Array.from(output, Math.fround), scaled[lead]!)).toBeLessThan(1e-5)
      expect(maxDifference(Float64Array.of(min, max), amplitude[lead]!)).toBeLessThan(PARITY)
    }
  })
})

describe('seasonalPeriod', () => {
  it.each([
    [24.9, 400],
    [250.1, 400],
    [null, 400],
    [25, 1200],
    [250, 120],
  ])('maps a heart rate of %s to a period of %i samples', (heartRateBpm, period) => {
    expect(seasonalPeriod(CARDIACNETS_V1, heartRateBpm)).toBe(period)
  })
})

describe('SignalChain', () => {
  it('refuses a profile with an unknown wavelet', () => {
    const profile = { ...CARDIACNETS_V1, wavelet: { ...CARDIACNETS_V1.wavelet, name: 'sym4' } }

    expect(() => new SignalChain(profile)).toThrow('wavelet not supported')
  })
})
