/**
 * The hot path of inference: `screen.onnx` (encoder and both heads fused), one window a call on one thread.
 * @module
 */
import { availableParallelism } from 'node:os'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { INDICES } from '../domain/conditions.ts'
import { LEADS } from '../domain/leads.ts'
import type { Person } from '../domain/recording.ts'
import type { Finding, IndexEstimate, OutOfDistribution } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import { CLEAN_STEPS, type CleanWindow } from '../waveform/clean-codec.ts'
import { type Bundle, verifyFile } from './bundle.ts'
import { correctedProbability, correctionFor, round, type Site } from './site-calibration.ts'

const SCREEN_FILE = 'screen.onnx'

export interface Screening {
  readonly findings: readonly Finding[]
  readonly indices: readonly IndexEstimate[]
  readonly ood?: OutOfDistribution
}

/** Screens clean windows with one bundle. Calls may overlap; ONNX Runtime then queues them. */
export class Screener {
  readonly bundle: Bundle
  /** What corrects the findings, where a site has said so. */
  readonly site: Site | undefined
  readonly #session: InferenceSession

  private constructor(bundle: Bundle, site: Site | undefined, session: InferenceSession) {
    this.bundle = bundle
    this.site = site
    this.#session = session
  }

  /**
   * Loads the fused model, once its bytes and tensors are what the manifest says.
   * @throws CodedError `bundle-corrupt`, `bundle-mismatch`
   */
  static async load(bundle: Bundle, site?: Site): Promise<Screener> {
    const path = await verifyFile(bundle, SCREEN_FILE)
    const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 }).catch(
      (cause: unknown) => {
        throw new CodedError('bundle-corrupt', { field: SCREEN_FILE }, { cause })
      },
    )
    checkTensors(bundle, SCREEN_FILE, session)
    return new Screener(bundle, site, session)
  }

  /** One window. A window is always a batch of its own: batching changes the last bits, and a result must not depend on its neighbours. */
  async screen(window: CleanWindow, person: Person = {}): Promise<Screening> {
    const outputs = await this.#run(window, person)
    const limit = this.bundle.manifest.ood
    return {
      findings: this.#findings(numbers(outputs, 'condition_logits')),
      indices: this.#indices(numbers(outputs, 'index_mean'), numbers(outputs, 'index_logvar')),
      ...(limit === undefined ? {} : { ood: judge(numbers(outputs, 'ood')[0]!, limit.threshold) }),
    }
  }

  /** What the bundle itself says of each condition, no site's correction: log-odds in the manifest's order, unrounded. */
  async logOdds(window: CleanWindow, person: Person = {}): Promise<number[]> {
    return this.#logOdds(numbers(await this.#run(window, person), 'condition_logits'))
  }

  /** Frees the native session. */
  async release(): Promise<void> {
    await this.#session.release()
  }

  async #run(window: CleanWindow, person: Person): Promise<InferenceSession.OnnxValueMapType> {
    const ecg = new Float32Array(window.codes.length)
    for (let i = 0; i < ecg.length; i++) ecg[i] = window.codes[i]! / CLEAN_STEPS
    const values = [sexCode(person), person.ageYears, person.heightCm, person.weightKg]
    return this.#session.run({
      ecg: new Tensor('float32', ecg, [1, LEADS.length, ecg.length / LEADS.length]),
      amplitude: new Tensor('float32', window.amplitude, [1, LEADS.length, 2]),
      lead_mask: new Tensor('float32', Float32Array.from(window.leadMask), [1, LEADS.length]),
      person: new Tensor(
        'float32',
        Float32Array.from(values, (value) => value ?? 0),
        [1, values.length],
      ),
      person_mask: new Tensor(
        'float32',
        Float32Array.from(values, (value) => (value === undefined ? 0 : 1)),
        [1, values.length],
      ),
    })
  }

  #logOdds(logits: Float32Array): number[] {
    return this.bundle.manifest.conditions.map(({ calibration: { scale, offset } }, i) => scale * logits[i]! + offset)
  }

  #findings(logits: Float32Array): Finding[] {
    const logOdds = this.#logOdds(logits)
    return this.bundle.manifest.conditions.map(({ id, evidence, operatingPoint }, i) => {
      const correction = correctionFor(this.bundle, this.site, i)
      const probability = correctedProbability(correction, logOdds[i]!)
      const threshold = correction.thresholds[operatingPoint]
      return { condition: id, probability, threshold, flagged: probability >= threshold, evidence }
    })
  }

  #indices(mean: Float32Array, logVariance: Float32Array): IndexEstimate[] {
    return this.bundle.manifest.indices.map(({ evidence, correlation, intervalScale }, i) => {
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

/** Checks every ONNX file of a bundle: bytes, and tensors against the manifest. For `models verify`. */
export async function verifyBundle(bundle: Bundle): Promise<void> {
  for (const { path: name } of bundle.manifest.files) {
    const path = await verifyFile(bundle, name)
    if (!name.endsWith('.onnx')) continue
    const session = await InferenceSession.create(path, { intraOpNumThreads: availableParallelism() }).catch(
      (cause: unknown) => {
        throw new CodedError('bundle-corrupt', { field: name }, { cause })
      },
    )
    checkTensors(bundle, name, session)
    await session.release()
  }
}

function checkTensors({ manifest }: Bundle, file: string, session: InferenceSession): void {
  const expected = manifest.tensors[file]
  if (expected === undefined) throw new CodedError('bundle-mismatch', { field: `tensors.${file}` })
  for (const [side, metadata] of [
    ['inputs', session.inputMetadata],
    ['outputs', session.outputMetadata],
  ] as const) {
    const actual = metadata.map((tensor) =>
      tensor.isTensor ? `${tensor.name} ${tensor.type} ${tensor.shape.map(sizeOf).join('×')}` : tensor.name,
    )
    const stated = expected[side].map(({ name, type, shape }) => `${name} ${type} ${shape.map(sizeOf).join('×')}`)
    if (actual.join() !== stated.join()) throw new CodedError('bundle-mismatch', { field: `tensors.${file}.${side}` })
  }
}

/** A fixed size as it is; every free one alike, whatever its name. */
const sizeOf = (size: number | string) => (typeof size === 'number' ? size : 'N')

const sexCode = ({ sex }: Person) => (sex === undefined ? undefined : sex === 'female' ? 1 : 0)

function judge(raw: number, threshold: number): OutOfDistribution {
  const score = round(raw)
  return { score, threshold, flagged: score > threshold }
}

function numbers(outputs: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = outputs[name]?.data
  if (data instanceof Float32Array) return data
  throw new CodedError('bundle-mismatch', { field: name })
}
