import { describe, expect, it } from 'vitest'
import {
  ddimSteps,
  type Prediction,
  type Schedule,
  signalRates,
  trailingTimesteps,
} from '../../../shared/inference/ddim.ts'

const STABLE: Schedule = { steps: 1000, kind: 'linear_sd', betaStart: 0.00085, betaEnd: 0.012, zeroTerminalSnr: false }
const RESCALED: Schedule = { ...STABLE, zeroTerminalSnr: true }

describe('the noise schedule', () => {
  it('matches Stable Diffusion', () => {
    const rates = signalRates(STABLE)

    // √ᾱ from NumPy: np.sqrt(np.cumprod(1 - np.linspace(.00085**.5, .012**.5, 1000)**2))
    expect(rates[0]).toBeCloseTo(0.999574909649, 10)
    expect(rates[499]).toBeCloseTo(0.526943688127, 10)
    expect(rates[999]).toBeCloseTo(0.068264914217, 10)
  })

  it('starts unchanged, decreases monotonically and ends at zero signal when rescaled', () => {
    const rates = signalRates(RESCALED)

    expect(rates[0]).toBeCloseTo(signalRates(STABLE)[0]!, 12)
    expect(rates[999]).toBe(0)
    for (let t = 1; t < 1000; t++) expect(rates[t]!).toBeLessThan(rates[t - 1]!)
  })
})

describe('trailing timesteps', () => {
  it('start at the last timestep and are evenly spaced', () => {
    expect(trailingTimesteps(1000, 4)).toEqual([999, 749, 499, 249])
    expect(trailingTimesteps(1000, 50).at(-1)).toBe(19)
  })

  it('round halves up, as in training', () => {
    // cardiacnets.models.diffusion.timesteps(1000, 16)
    expect(trailingTimesteps(1000, 16)).toEqual([
      999, 937, 874, 812, 749, 687, 624, 562, 499, 437, 374, 312, 249, 187, 124, 62,
    ])
  })
})

/**
 * Data that are one-dimensional and normal, N(mean, deviation²). Then the best prediction is known, the flow that DDIM follows is linear, and
 * where it ends is known too: a start that lies z deviations out among the noised data ends z deviations out among the data.
 */
const MEAN = 1.5
const DEVIATION = 0.4

const bestNoise = (x: number, signal: number) => {
  const noise = Math.sqrt(1 - signal * signal)
  return (noise * (x - signal * MEAN)) / (signal * signal * DEVIATION ** 2 + noise * noise)
}
const bestVelocity = (x: number, signal: number) => {
  const noise = Math.sqrt(1 - signal * signal)
  const variance = signal * signal * DEVIATION ** 2 + noise * noise
  const data = MEAN + (signal * DEVIATION ** 2 * (x - signal * MEAN)) / variance
  return signal * bestNoise(x, signal) - noise * data
}

function sample(schedule: Schedule, prediction: Prediction, count: number, start: number): number {
  const rates = signalRates(schedule)
  const predict = prediction === 'v' ? bestVelocity : bestNoise
  let x = start
  for (const step of ddimSteps(schedule, prediction, count)) {
    x = step.latent * x + step.prediction * predict(x, rates[step.timestep]!)
  }
  return x
}

/** The end of the exact flow from a start at timestep T−1. */
function exactEnd(schedule: Schedule, start: number): number {
  const signal = signalRates(schedule).at(-1)!
  const deviation = Math.sqrt(signal * signal * DEVIATION ** 2 + 1 - signal * signal)
  return MEAN + (DEVIATION * (start - signal * MEAN)) / deviation
}

describe.each<[string, Schedule, Prediction]>([
  ['ε', STABLE, 'epsilon'],
  ['v', STABLE, 'v'],
  ['v without signal at the end', RESCALED, 'v'],
])('DDIM on normally distributed data, predicting %s', (_, schedule, prediction) => {
  it.each([-2, 0, 1.3])('reaches the closed-form end from %d', (start) => {
    const { betaStart, betaEnd } = schedule
    const fine = { ...schedule, steps: 20_000, betaStart: betaStart / 20, betaEnd: betaEnd / 20 }

    expect(sample(fine, prediction, fine.steps, start)).toBeCloseTo(exactEnd(fine, start), 3)
  })

  it('halves its error when the number of steps doubles', () => {
    const error = (count: number) => Math.abs(sample(schedule, prediction, count, -2) - exactEnd(schedule, -2))

    expect(error(500) / error(1000)).toBeGreaterThan(1.7)
    expect(error(250) / error(500)).toBeGreaterThan(1.7)
  })

  it('gives the best estimate of the data in one step', () => {
    const signal = signalRates(schedule).at(-1)!
    const noise = Math.sqrt(1 - signal * signal)
    const variance = signal * signal * DEVIATION ** 2 + noise * noise

    expect(sample(schedule, prediction, 1, 0.7)).toBeCloseTo(
      MEAN + (signal * DEVIATION ** 2 * (0.7 - signal * MEAN)) / variance,
      10,
    )
  })
})

it('DDIM gives the same result whether it predicts ε or v', () => {
  expect(sample(STABLE, 'epsilon', 8, 0.3)).toBeCloseTo(sample(STABLE, 'v', 8, 0.3), 10)
})
