/**
 * DDIM without added noise (Song et al., arXiv 2010.02502, η = 0), reduced to a few numbers: which timesteps are visited, and how each step
 * combines the latent with the network's prediction. Pure: no network, no arrays of the latent's size.
 * @module
 */

/** A diffusion noise schedule, as in the manifest. */
export interface Schedule {
  /** Number of timesteps, T. */
  readonly steps: number
  /** √β rises evenly from √betaStart to √betaEnd, as in Stable Diffusion. */
  readonly kind: 'linear_sd'
  readonly betaStart: number
  readonly betaEnd: number
  /** Rescaled so that the last timestep is pure noise (Lin et al., arXiv 2305.08891, algorithm 1). */
  readonly zeroTerminalSnr: boolean
}

/** What the network predicts: the noise ε, or the velocity v = √ᾱ ε − √(1−ᾱ) x₀. */
export type Prediction = 'epsilon' | 'v'

/** next = latent · `latent` + prediction · `prediction` */
export interface DdimStep {
  readonly timestep: number
  readonly latent: number
  readonly prediction: number
}

/** √ᾱ of each of the T timesteps. */
export function signalRates({ steps, betaStart, betaEnd, zeroTerminalSnr }: Schedule): Float64Array {
  const rates = new Float64Array(steps)
  const [from, to] = [Math.sqrt(betaStart), Math.sqrt(betaEnd)]
  let product = 1
  for (let t = 0; t < steps; t++) {
    const root = steps === 1 ? from : from + ((to - from) * t) / (steps - 1)
    product *= 1 - root * root
    rates[t] = Math.sqrt(product)
  }
  if (!zeroTerminalSnr) return rates
  const first = rates[0]!
  const last = rates[steps - 1]!
  return rates.map((rate) => ((rate - last) * first) / (first - last))
}

/** `count` timesteps, evenly spaced from the last one down ("trailing"): round(T − i·T/count) − 1, rounded half up. */
export function trailingTimesteps(steps: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.round(steps - (i * steps) / count) - 1)
}

/** The steps from pure noise to an image without noise: the last step ends at ᾱ = 1. */
export function ddimSteps(schedule: Schedule, prediction: Prediction, count: number): DdimStep[] {
  const rates = signalRates(schedule)
  const timesteps = trailingTimesteps(schedule.steps, count)
  return timesteps.map((timestep, i) => {
    const following = timesteps[i + 1]
    const signal = rates[timestep]!
    const noise = Math.sqrt(1 - signal * signal)
    const nextSignal = following === undefined ? 1 : rates[following]!
    const nextNoise = Math.sqrt(1 - nextSignal * nextSignal)
    // With the predicted x₀ and ε: next = √ᾱ' x₀ + √(1−ᾱ') ε.
    return prediction === 'v'
      ? {
          timestep,
          latent: nextSignal * signal + nextNoise * noise,
          prediction: nextNoise * signal - nextSignal * noise,
        }
      : { timestep, latent: nextSignal / signal, prediction: nextNoise - (nextSignal * noise) / signal }
  })
}
