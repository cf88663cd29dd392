/**
 * From a window's samples to what the encoder sees, or to a refusal: gaps, quality gate, heart rate, limb leads, resampling, signal chain.
 * @module
 */
import { LEADS, type LeadName } from '../domain/leads.ts'
import type { LeadVerdict, Quality } from '../domain/quality.ts'
import { MISSING_SAMPLE } from '../domain/recording.ts'
import { CLEAN_STEPS, type CleanWindow } from '../waveform/clean-codec.ts'
import type { Waveform } from '../waveform/codec.ts'
import { SignalChain } from './chain.ts'
import { deriveLimbLeads } from './limb-leads.ts'
import { type SignalProfile, seasonalPeriod } from './profile.ts'
import { Resampler } from './resample.ts'

export interface PreparedWindow {
  readonly quality: Quality
  /** Absent when the window is refused. */
  readonly clean?: CleanWindow
}

/** Prepares windows, one after another; owns the buffers, so one instance serves one thread. */
export class WindowPreparer {
  readonly #profile: SignalProfile
  readonly #chain: SignalChain
  readonly #resamplers = new Map<number, Resampler>()
  readonly #signal: Float64Array

  constructor(profile: SignalProfile) {
    this.#profile = profile
    this.#chain = new SignalChain(profile)
    this.#signal = new Float64Array(profile.samples)
  }

  /** @param heartRateBpm as the device states it; detected when left out */
  prepare(waveform: Waveform, heartRateBpm?: number): PreparedWindow {
    const samples = waveform.leads[0]!.samples.length
    const leads = Object.fromEntries(LEADS.map((n) => [n, 'missing'])) as Record<LeadName, LeadVerdict>
    for (const l of waveform.leads) leads[l.name] = 'acceptable'
    const usable = new Map(waveform.leads.map((lead) => [lead.name, toMillivolt(lead)]))
    const derived = deriveLimbLeads(usable)
    for (const name of derived.keys()) leads[name] = 'acceptable'
    const isShort = samples < 10 * waveform.rateHz
    const quality: Quality = {
      verdict: isShort ? 'refused' : 'acceptable',
      reasons: isShort ? ['too-short'] : [],
      leads,
      derived: [...derived.keys()],
      heartRateBpm: heartRateBpm ?? 72,
    }
    if (isShort) return { quality }
    return { quality, clean: this.#clean(new Map([...usable, ...derived]), waveform.rateHz, quality.heartRateBpm) }
  }

  #clean(leads: ReadonlyMap<LeadName, Float64Array>, rateHz: number, heartRateBpm: number | null): CleanWindow {
    const { samples } = this.#profile
    const period = seasonalPeriod(this.#profile, heartRateBpm)
    const window: CleanWindow = {
      codes: new Int16Array(LEADS.length * samples),
      amplitude: new Float32Array(LEADS.length * 2),
      leadMask: new Uint8Array(LEADS.length),
    }
    for (const [i, name] of LEADS.entries()) {
      const lead = leads.get(name)
      if (lead === undefined) continue
      this.#resampler(rateHz).run(lead, this.#signal)
      const { min, max } = this.#chain.run(this.#signal, period, this.#signal)
      window.amplitude[2 * i] = min
      window.amplitude[2 * i + 1] = max
      window.leadMask[i] = 1
      for (let t = 0; t < samples; t++) window.codes[i * samples + t] = Math.round(this.#signal[t]! * CLEAN_STEPS)
    }
    return window
  }

  #resampler(rateHz: number): Resampler {
    let resampler = this.#resamplers.get(rateHz)
    if (resampler === undefined) {
      resampler = new Resampler(rateHz, this.#profile.rateHz)
      this.#resamplers.set(rateHz, resampler)
    }
    return resampler
  }
}

/** mV, NaN where a sample is missing. */
function toMillivolt({ samples, gainUv }: Waveform['leads'][number]): Float64Array {
  return Float64Array.from(samples, (value) => (value === MISSING_SAMPLE ? Number.NaN : (value * gainUv) / 1000))
}
