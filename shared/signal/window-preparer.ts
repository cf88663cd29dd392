/**
 * Prepares a window for the encoder, or refuses it: quality gate, gaps, heart rate, limb leads, resampling, signal chain.
 * @module
 */
import { LEADS, type LeadName } from '../domain/leads.ts'
import type { Measurements } from '../domain/measurements.ts'
import type { LeadVerdict, Quality } from '../domain/quality.ts'
import { MISSING_SAMPLE, type RecordedLead } from '../domain/recording.ts'
import type { ResultWarning } from '../domain/warnings.ts'
import type { Waveform } from '../domain/waveform.ts'
import { MIN_WINDOW_S, WINDOW_S, windowSamples } from '../domain/window.ts'
import { CodedError } from '../errors.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import { removeTrend } from './baseline.ts'
import { SignalChain } from './chain.ts'
import { electrodeWarnings } from './electrodes.ts'
import { bridgeGaps } from './gaps.ts'
import { HumRemover } from './hum.ts'
import { leadWarnings } from './lead-consistency.ts'
import { deriveLimbLeads } from './limb-leads.ts'
import { measureBeats } from './measurements.ts'
import { BeatAverager } from './median-beat.ts'
import { type SignalProfile, seasonalPeriod } from './profile.ts'
import { QualityGate } from './quality-gate.ts'
import { RPeakDetector, heartRateBpm as rateOfPeaks, windowPeaks } from './r-peaks.ts'
import { Resampler } from './resample.ts'
import { SteadinessMeter } from './steadiness.ts'

export interface PreparedWindow {
  readonly quality: Quality
  readonly warnings: readonly ResultWarning[]
  readonly measurements?: Measurements
  /** Absent when the window is refused. */
  readonly clean?: CleanWindow
}

/** Tools that depend on the source's rate. */
interface SourceTools {
  readonly hum: HumRemover
  readonly gate: QualityGate
  readonly detector: RPeakDetector
  readonly resampler: Resampler
  /** Buffers for the samples of the twelve leads, mV. */
  readonly millivolt: readonly Float64Array[]
}

/** Number of source rates whose tools are kept; the oldest are dropped. A site's devices have few rates. */
const KEPT_RATES = 8

/** Padding up to this length gives no warning, because it comes from rounding of the source's rate, s. */
const MAX_SILENT_PADDING_S = 0.02

type Leads = ReadonlyMap<LeadName, Float64Array>

const isChestLead = (name: LeadName) => name.startsWith('V')

/** Prepares windows one after another. Owns its buffers, so one instance serves one thread. */
export class WindowPreparer {
  readonly #profile: SignalProfile
  readonly #chain: SignalChain
  readonly #tools = new Map<number, SourceTools>()
  readonly #averager: BeatAverager
  readonly #steadiness: SteadinessMeter
  /** The twelve leads at the profile's rate, mV, and the same without their trend. */
  readonly #resampled: readonly Float64Array[]
  readonly #flat: readonly Float64Array[]

  constructor(profile: SignalProfile) {
    this.#profile = profile
    this.#chain = new SignalChain(profile)
    this.#averager = new BeatAverager(profile.rateHz, profile.samples)
    this.#steadiness = new SteadinessMeter(profile.rateHz, profile.samples)
    this.#resampled = LEADS.map(() => new Float64Array(profile.samples))
    this.#flat = LEADS.map(() => new Float64Array(profile.samples))
  }

  /**
   * Prepares one window.
   * @param waveform one window; less than nine seconds are refused, less than ten are padded
   * @param heartRateBpm as the device states it; detected when absent or implausible
   * @throws CodedError `payload-too-large` for more than one window, because the rest would be ignored
   */
  prepare({ rateHz, leads }: Waveform, heartRateBpm?: number): PreparedWindow {
    if (leads[0]!.samples.length > windowSamples(rateHz)) {
      throw new CodedError('payload-too-large', { field: 'waveform.leads[0].samples', maxSeconds: WINDOW_S })
    }
    const tools = this.#toolsFor(rateHz)
    const delivered = leads.map((lead, i) => ({
      name: lead.name,
      gainUv: lead.gainUv,
      mv: withoutHum(tools.hum, toMillivolt(lead, tools.millivolt[i]!)),
    }))
    const { verdict, reasons, leads: verdicts } = tools.gate.judge({ rateHz, leads: delivered })
    const quality = { verdict, reasons, leads: allLeads(verdicts), derived: [], heartRateBpm: null }
    if (verdict === 'refused') return { quality, warnings: [] }

    const maxBridged = Math.floor((this.#profile.maxBridgedGapMs * rateHz) / 1000)
    const usable = new Map<LeadName, Float64Array>()
    for (const [i, { name, mv }] of delivered.entries()) {
      if (verdicts.get(name) !== 'acceptable') continue
      if (leads[i]!.samples.includes(MISSING_SAMPLE)) bridgeGaps(mv, maxBridged)
      usable.set(name, mv)
    }
    const warnings = leadWarnings(delivered.filter(({ name }) => usable.has(name)))
    const peaks = windowPeaks(tools.detector, usable)
    const heartRate = this.#believed(heartRateBpm) ?? rateOfPeaks(peaks, rateHz) ?? null
    // A limb lead that was recorded but is unusable is not derived, because the other leads share its electrode.
    const missing = (name: LeadName) => !verdicts.has(name)
    const derived = new Map([...deriveLimbLeads(usable)].filter(([name]) => missing(name)))
    for (const name of derived.keys()) quality.leads[name] = 'acceptable'
    const leadsAtProfileRate = this.#resample(new Map([...usable, ...derived]), tools.resampler)
    const places = Array.from(peaks, (peak) => Math.round((peak * this.#profile.rateHz) / rateHz))
    const beats = this.#averager.average(leadsAtProfileRate, places)
    const flat = this.#withoutTrend(leadsAtProfileRate, heartRate)
    // When no three beats are alike, there is no evidence of beats at all.
    if (beats === undefined || this.#steadiness.isUnsteady(flat, beats)) {
      return { quality: { ...quality, verdict: 'refused', reasons: ['noise'] }, warnings: [] }
    }
    // With RA and RL exchanged, limb leads become alike. When chest leads are identical, nothing more is concluded.
    const isOneTrace = warnings.some(({ code, leads: same }) => code === 'leads-identical' && same?.some(isChestLead))
    const exchanged = isOneTrace ? [] : electrodeWarnings(beats)
    const measurements = measureBeats(beats, places, this.#profile.rateHz)
    return {
      quality: { ...quality, derived: [...derived.keys()], heartRateBpm: heartRate && Math.round(heartRate * 10) / 10 },
      warnings: [...paddedWarning(leads[0]!.samples.length, rateHz), ...warnings, ...exchanged],
      ...(measurements === undefined ? {} : { measurements }),
      clean: this.#clean(flat),
    }
  }

  #resample(leads: Leads, resampler: Resampler): Leads {
    const resampled = new Map<LeadName, Float64Array>()
    for (const [i, name] of LEADS.entries()) {
      const lead = leads.get(name)
      if (lead === undefined) continue
      const isAsWanted = resampler.keepsRate && lead.length === this.#profile.samples
      if (!isAsWanted) resampler.run(lead, this.#resampled[i]!)
      resampled.set(name, isAsWanted ? lead : this.#resampled[i]!)
    }
    return resampled
  }

  #withoutTrend(leads: Leads, heartRateBpm: number | null): Leads {
    const period = seasonalPeriod(this.#profile, heartRateBpm)
    const flat = new Map<LeadName, Float64Array>()
    for (const [i, name] of LEADS.entries()) {
      const lead = leads.get(name)
      if (lead === undefined) continue
      removeTrend(lead, period, this.#flat[i]!)
      flat.set(name, this.#flat[i]!)
    }
    return flat
  }

  /** @param flat leads at the profile's rate, without their trend */
  #clean(flat: Leads): CleanWindow {
    const { samples } = this.#profile
    const codes = new Int16Array(LEADS.length * samples)
    const amplitude = new Float32Array(LEADS.length * 2)
    const leadMask = new Uint8Array(LEADS.length)
    for (const [i, name] of LEADS.entries()) {
      const lead = flat.get(name)
      if (lead === undefined) continue
      const { min, max } = this.#chain.encode(lead, codes, i * samples)
      amplitude[2 * i] = min
      amplitude[2 * i + 1] = max
      leadMask[i] = 1
    }
    return { codes, amplitude, leadMask }
  }

  #believed(heartRateBpm: number | undefined): number | undefined {
    const { minHeartRateBpm, maxHeartRateBpm } = this.#profile.baseline
    const isBelievable =
      heartRateBpm !== undefined && heartRateBpm >= minHeartRateBpm && heartRateBpm <= maxHeartRateBpm
    return isBelievable ? heartRateBpm : undefined
  }

  #toolsFor(rateHz: number): SourceTools {
    const kept = this.#tools.get(rateHz)
    if (kept !== undefined) return kept
    const tools: SourceTools = {
      hum: new HumRemover(rateHz, windowSamples(rateHz)),
      gate: new QualityGate({ minSeconds: MIN_WINDOW_S, maxBridgedGapMs: this.#profile.maxBridgedGapMs }),
      detector: new RPeakDetector(rateHz),
      resampler: new Resampler(rateHz, this.#profile.rateHz),
      millivolt: LEADS.map(() => new Float64Array(windowSamples(rateHz))),
    }
    const [oldest] = this.#tools.keys()
    if (this.#tools.size >= KEPT_RATES) this.#tools.delete(oldest!)
    this.#tools.set(rateHz, tools)
    return tools
  }
}

function withoutHum(hum: HumRemover, mv: Float64Array): Float64Array {
  hum.remove(mv)
  return mv
}

/** The resampler repeats the last sample up to the end of the window. A few missing samples give no warning. */
function paddedWarning(samples: number, rateHz: number): readonly ResultWarning[] {
  return samples < windowSamples(rateHz) - MAX_SILENT_PADDING_S * rateHz ? [{ code: 'window-padded' }] : []
}

/** Fills `buffer` with a lead's samples in mV, NaN where a sample is missing. Returns the part that was filled. */
function toMillivolt({ samples, gainUv }: RecordedLead, buffer: Float64Array): Float64Array {
  const count = samples.length
  const gainMv = gainUv / 1000
  for (let i = 0; i < count; i++) {
    const value = samples[i]!
    buffer[i] = value === MISSING_SAMPLE ? Number.NaN : value * gainMv
  }
  return count === buffer.length ? buffer : buffer.subarray(0, count)
}

function allLeads(verdicts: ReadonlyMap<LeadName, LeadVerdict>): Record<LeadName, LeadVerdict> {
  // Every name of LEADS gets a value; the type of `fromEntries` cannot express that.
  return Object.fromEntries(LEADS.map((name) => [name, verdicts.get(name) ?? 'missing'])) as Record<
    LeadName,
    LeadVerdict
  >
}
