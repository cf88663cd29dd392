/**
 * From a window's samples to what the encoder sees, or to a refusal: quality gate, gaps, heart rate, limb leads, resampling, signal chain.
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
import { CLEAN_STEPS, type CleanWindow } from '../waveform/clean-codec.ts'
import { SignalChain } from './chain.ts'
import { electrodeWarnings } from './electrodes.ts'
import { bridgeGaps } from './gaps.ts'
import { HumRemover } from './hum.ts'
import { leadWarnings } from './lead-consistency.ts'
import { deriveLimbLeads } from './limb-leads.ts'
import { measureBeats } from './measurements.ts'
import { BeatAverager, type MedianBeats } from './median-beat.ts'
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

/** What depends on the source's rate. */
interface SourceTools {
  readonly hum: HumRemover
  readonly gate: QualityGate
  readonly detector: RPeakDetector
  readonly resampler: Resampler
  /** A window's samples in mV for each of the twelve leads. */
  readonly millivolt: readonly Float64Array[]
}

/** Sources of more rates than this in turn make the oldest one's tools be made anew: devices of a site have few. */
const KEPT_RATES = 8

/** Padding of less is rounding of the source's rate, s. */
const MAX_SILENT_PADDING_S = 0.02

type Leads = ReadonlyMap<LeadName, Float64Array>

const isChestLead = (name: LeadName) => name.startsWith('V')

/** Prepares windows, one after another; owns its buffers, so one instance serves one thread. */
export class WindowPreparer {
  readonly #profile: SignalProfile
  readonly #chain: SignalChain
  readonly #tools = new Map<number, SourceTools>()
  readonly #averager: BeatAverager
  readonly #steadiness: SteadinessMeter
  readonly #signal: Float64Array
  /** Each of the twelve leads at the profile's rate, mV. */
  readonly #resampled: readonly Float64Array[]

  constructor(profile: SignalProfile) {
    this.#profile = profile
    this.#chain = new SignalChain(profile)
    this.#averager = new BeatAverager(profile.rateHz, profile.samples)
    this.#steadiness = new SteadinessMeter(profile.rateHz, profile.samples)
    this.#signal = new Float64Array(profile.samples)
    this.#resampled = LEADS.map(() => new Float64Array(profile.samples))
  }

  /**
   * @param waveform one window; one of under nine seconds is refused, one of under ten padded
   * @param heartRateBpm as the device states it; detected when left out or not believable
   * @throws CodedError `payload-too-large` for more than a window: the rest would go unseen
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
    for (const { name, mv } of delivered) {
      if (verdicts.get(name) !== 'acceptable') continue
      bridgeGaps(mv, maxBridged)
      usable.set(name, mv)
    }
    const warnings = leadWarnings(delivered.filter(({ name }) => usable.has(name)))
    const peaks = windowPeaks(tools.detector, usable)
    const heartRate = this.#believed(heartRateBpm) ?? rateOfPeaks(peaks, rateHz) ?? null
    // A limb lead that was delivered but cannot be used stays unused: its electrode is in the others as well.
    const missing = (name: LeadName) => !verdicts.has(name)
    const derived = new Map([...deriveLimbLeads(usable)].filter(([name]) => missing(name)))
    for (const name of derived.keys()) quality.leads[name] = 'acceptable'
    const leadsAtProfileRate = this.#resample(new Map([...usable, ...derived]), tools.resampler)
    const places = Array.from(peaks, (peak) => Math.round((peak * this.#profile.rateHz) / rateHz))
    const beats = this.#averager.average(leadsAtProfileRate, places)
    if (this.#isMoving(leadsAtProfileRate, heartRate, beats)) {
      return { quality: { ...quality, verdict: 'refused', reasons: ['noise'] }, warnings: [] }
    }
    // Limb leads become alike when RA and RL are exchanged; from chest leads that are one trace, nothing more is concluded.
    const isOneTrace = warnings.some(({ code, leads: same }) => code === 'leads-identical' && same?.some(isChestLead))
    const exchanged = isOneTrace ? [] : electrodeWarnings(beats)
    const measurements = measureBeats(beats, places, this.#profile.rateHz)
    return {
      quality: { ...quality, derived: [...derived.keys()], heartRateBpm: heartRate && Math.round(heartRate * 10) / 10 },
      warnings: [...paddedWarning(leads[0]!.samples.length, rateHz), ...warnings, ...exchanged],
      ...(measurements === undefined ? {} : { measurements }),
      clean: this.#clean(leadsAtProfileRate, heartRate),
    }
  }

  /** Do the leads move too far from beat to beat? Where no three beats are alike, nothing shows that there are beats at all. */
  #isMoving(leads: Leads, heartRateBpm: number | null, beats: MedianBeats | undefined): boolean {
    return beats === undefined || this.#steadiness.isUnsteady(leads, seasonalPeriod(this.#profile, heartRateBpm), beats)
  }

  #resample(leads: Leads, resampler: Resampler): Leads {
    const resampled = new Map<LeadName, Float64Array>()
    for (const [i, name] of LEADS.entries()) {
      const lead = leads.get(name)
      if (lead === undefined) continue
      resampler.run(lead, this.#resampled[i]!)
      resampled.set(name, this.#resampled[i]!)
    }
    return resampled
  }

  /** @param leads at the profile's rate */
  #clean(leads: Leads, heartRateBpm: number | null): CleanWindow {
    const { samples } = this.#profile
    const period = seasonalPeriod(this.#profile, heartRateBpm)
    const codes = new Int16Array(LEADS.length * samples)
    const amplitude = new Float32Array(LEADS.length * 2)
    const leadMask = new Uint8Array(LEADS.length)
    const signal = this.#signal
    for (const [i, name] of LEADS.entries()) {
      const lead = leads.get(name)
      if (lead === undefined) continue
      const { min, max } = this.#chain.run(lead, period, signal)
      amplitude[2 * i] = min
      amplitude[2 * i + 1] = max
      leadMask[i] = 1
      toSteps(signal, codes, i * samples)
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

/** The resampler holds the last sample up to the end of the window. A device that is a few samples short is not worth a word. */
function paddedWarning(samples: number, rateHz: number): readonly ResultWarning[] {
  return samples < windowSamples(rateHz) - MAX_SILENT_PADDING_S * rateHz ? [{ code: 'window-padded' }] : []
}

/** Fills `buffer` from a lead's samples and returns as much of it as there are; NaN where a sample is missing. */
function toMillivolt({ samples, gainUv }: RecordedLead, buffer: Float64Array): Float64Array {
  const count = samples.length
  const gainMv = gainUv / 1000
  for (let i = 0; i < count; i++) {
    const value = samples[i]!
    buffer[i] = value === MISSING_SAMPLE ? Number.NaN : value * gainMv
  }
  return count === buffer.length ? buffer : buffer.subarray(0, count)
}

/** Rounds values in [−1, 1] to steps. Shifted to be positive, truncation rounds: three times faster than Math.round here. */
function toSteps(signal: Float64Array, codes: Int16Array, at: number): void {
  for (let t = 0; t < signal.length; t++)
    codes[at + t] = ((signal[t]! * CLEAN_STEPS + CLEAN_STEPS + 0.5) | 0) - CLEAN_STEPS
}

function allLeads(verdicts: ReadonlyMap<LeadName, LeadVerdict>): Record<LeadName, LeadVerdict> {
  // Every name of LEADS gets a value, which `fromEntries` cannot say.
  return Object.fromEntries(LEADS.map((name) => [name, verdicts.get(name) ?? 'missing'])) as Record<
    LeadName,
    LeadVerdict
  >
}
