/**
 * The hot path of inference: `screen.onnx` (encoder and both heads fused), one window per call on one thread.
 * @module
 */
import type { InferenceSession } from 'onnxruntime-node'
import type { BlockId } from '../domain/bundle-branch-blocks.ts'
import { INDICES } from '../domain/conditions.ts'
import type { Person } from '../domain/recording.ts'
import type { Finding, IndexEstimate, OutOfDistribution } from '../domain/result.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import type { Bundle } from './bundle.ts'
import { encoderInputs, numbers, openSession, variantInputs } from './session.ts'
import {
  correctedProbability,
  correctionFor,
  isBorderline,
  round,
  type Site,
  thresholdFor,
} from './site-calibration.ts'

const SCREEN_FILE = 'screen.onnx'

export interface Screening {
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly ood?: OutOfDistribution
}

export interface ScreeningEvidence {
  /** Of each condition as the bundle states them, without a site's correction: in the manifest's order, unrounded. */
  readonly logOdds: readonly number[]
  /** Bundle branch blocks that the network reads in the ECG. */
  readonly blocks: readonly BlockId[]
}

/** Screens clean windows with one bundle. Calls may overlap; ONNX Runtime then queues them. */
export class Screener {
  readonly bundle: Bundle
  /** Corrects the findings; absent without a site calibration. */
  readonly site: Site | undefined
  readonly #session: InferenceSession

  private constructor(bundle: Bundle, site: Site | undefined, session: InferenceSession) {
    this.bundle = bundle
    this.site = site
    this.#session = session
  }

  /**
   * Loads the fused model after checking its bytes and tensors against the manifest.
   * @throws CodedError `bundle-corrupt`, `bundle-mismatch`
   */
  static async load(bundle: Bundle, site?: Site): Promise<Screener> {
    const session = await openSession(bundle, SCREEN_FILE, { threads: 1 })
    return new Screener(bundle, site, session)
  }

  /**
   * Screens one window. A window is always a batch of its own: batching changes the last bits, and a result must not depend on other
   * windows.
   */
  async screen(window: CleanWindow, person: Person = {}): Promise<Screening> {
    const outputs = await this.#run(window, person)
    const limit = this.bundle.manifest.ood
    return {
      findings: this.#findings(numbers(outputs, 'condition_logits'), person, this.#blocks(outputs)),
      indices: this.#indices(numbers(outputs, 'index_mean'), numbers(outputs, 'index_logvar')),
      ...(limit === undefined ? {} : { ood: judge(numbers(outputs, 'ood')[0]!, limit.threshold) }),
    }
  }

  /** What a site's own figures are made from. */
  async evidence(window: CleanWindow, person: Person = {}): Promise<ScreeningEvidence> {
    const outputs = await this.#run(window, person)
    return { logOdds: this.#logOdds(numbers(outputs, 'condition_logits')), blocks: this.#blocks(outputs) }
  }

  /**
   * Log-odds of several variants of a window that differ only in their samples.
   * @param ecg [count][12][samples], in [−1, 1]
   * @returns log-odds of each variant
   */
  async logOddsOfVariants(
    count: number,
    ecg: Float32Array,
    window: CleanWindow,
    person: Person = {},
  ): Promise<number[][]> {
    const logits = numbers(await this.#session.run(variantInputs(count, ecg, window, person)), 'condition_logits')
    const width = logits.length / count
    return Array.from({ length: count }, (_, i) => this.#logOdds(logits.subarray(i * width, (i + 1) * width)))
  }

  /** Frees the native session. */
  async release(): Promise<void> {
    await this.#session.release()
  }

  async #run(window: CleanWindow, person: Person): Promise<InferenceSession.OnnxValueMapType> {
    return this.#session.run(encoderInputs(window, person))
  }

  #logOdds(logits: Float32Array): number[] {
    return this.bundle.manifest.conditions.map(({ calibration: { scale, offset } }, i) => scale * logits[i]! + offset)
  }

  #blocks(outputs: InferenceSession.OnnxValueMapType): BlockId[] {
    const { blocks } = this.bundle.manifest
    if (blocks === undefined) return []
    const logits = numbers(outputs, 'block_logits')
    return blocks.filter(({ threshold }, i) => logits[i]! >= threshold).map(({ id }) => id)
  }

  #findings(logits: Float32Array, person: Person, blocks: readonly BlockId[]): Finding[] {
    const logOdds = this.#logOdds(logits)
    return this.bundle.manifest.conditions.map(({ id, evidence, operatingPoint, borderlineLogOdds }, i) => {
      const correction = correctionFor(this.bundle, this.site, i)
      const probability = correctedProbability(correction, logOdds[i]!)
      const { threshold, raisedBy } = thresholdFor(operatingPoint, correction, person, blocks)
      const borderline = isBorderline(probability, threshold, borderlineLogOdds)
      const { predictiveValue } = correction
      return {
        condition: id,
        probability,
        threshold,
        ...(raisedBy && { raisedBy }),
        flagged: probability >= threshold,
        borderline,
        evidence,
        ...(predictiveValue && { predictiveValue }),
      }
    })
  }

  #indices(mean: Float32Array, logVariance: Float32Array): IndexEstimate[] {
    return this.bundle.manifest.indices.flatMap(({ evidence, correlation, intervalScale }, i) => {
      if (correlation === null) return []
      const { id, name, unit } = INDICES[i]!
      const halfWidth = intervalScale * Math.exp(logVariance[i]! / 2)
      const value = mean[i]!
      return {
        id,
        name,
        value: round(value),
        unit,
        low: round(value - halfWidth),
        high: round(value + halfWidth),
        correlation,
        evidence,
      }
    })
  }
}

function judge(raw: number, threshold: number): OutOfDistribution {
  const score = round(raw)
  return { score, threshold, flagged: score > threshold }
}
