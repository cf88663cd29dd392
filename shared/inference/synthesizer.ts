/**
 * Draws cines from an ECG with a bundle's encoder, denoiser and decoder, in a DDIM loop. The same ECG, seed, sampler and bundle give the
 * same bytes on the same kind of processor.
 * @module
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { Person } from '../domain/recording.ts'
import { CodedError } from '../errors.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import type { Bundle } from './bundle.ts'
import { interpolateCycle } from './cardiac-cycle.ts'
import { ddimSteps } from './ddim.ts'
import { fillNormal } from './noise.ts'
import { type Condition, sampleLatent, viewTensor } from './sample-latent.ts'
import { encoderInputs, numbers, openSession, type SessionOptions } from './session.ts'
import { type Sampler, type SynthesisManifest, samplerOf, VIEWS, type View } from './synthesis-manifest.ts'

/** The input of screening: a cine is drawn from the same window that was screened. */
export interface ScreenInput {
  readonly clean: CleanWindow
  readonly person?: Person | undefined
}

/** One cardiac cycle of one view. */
export interface Cine {
  readonly view: View
  /** [count][height][width], grey levels */
  readonly frames: Uint8Array
  /** The frames that were drawn, before interpolation to `frames`: [frames of the latent][height][width], −1 to 1. */
  readonly drawn: Float32Array
  readonly count: number
  readonly height: number
  readonly width: number
  readonly spacingMm: number
}

export type Cines = Readonly<Record<View, Cine>>

export interface SynthesizerOptions extends SessionOptions {
  /** One of the manifest's samplers; the manifest's default when absent. */
  readonly sampler?: string | undefined
}

export interface DrawOptions {
  /** uint32 */
  readonly seed: number
  /** The sampler's own when absent. With 1, the unguided half is not computed. */
  readonly guidance?: number | undefined
  /** The sampler's own when absent. */
  readonly steps?: number | undefined
  /** Checked between steps. */
  readonly signal?: AbortSignal | undefined
  /** Called after each step; `steps` is the total of both views. */
  readonly onProgress?: ((step: number, steps: number) => void) | undefined
}

interface Sessions {
  readonly encoder: InferenceSession
  readonly denoiser: InferenceSession
  readonly decoder: InferenceSession
}

export class Synthesizer {
  readonly bundle: Bundle
  readonly sampler: Sampler
  readonly #synthesis: SynthesisManifest
  readonly #sessions: Sessions

  private constructor(bundle: Bundle, synthesis: SynthesisManifest, sampler: Sampler, sessions: Sessions) {
    this.bundle = bundle
    this.sampler = sampler
    this.#synthesis = synthesis
    this.#sessions = sessions
  }

  /**
   * Loads the models that one sampler needs.
   * @throws CodedError `synthesis-unavailable`, `field-invalid` naming `sampler`, `bundle-corrupt`, `bundle-mismatch`, `provider-inactive`
   */
  static async open(bundle: Bundle, { sampler: name, ...options }: SynthesizerOptions = {}): Promise<Synthesizer> {
    const { synthesis } = bundle.manifest
    if (synthesis === undefined) throw new CodedError('synthesis-unavailable', { field: 'synthesis' })
    const sampler = samplerOf(synthesis, name)
    const [encoder, denoiser, decoder] = await Promise.all(
      [synthesis.encoder, sampler.file, 'decoder.onnx'].map((file) => openSession(bundle, file, options)),
    )
    return new Synthesizer(bundle, synthesis, sampler, { encoder: encoder!, denoiser: denoiser!, decoder: decoder! })
  }

  /**
   * Draws both views.
   * @throws CodedError `field-invalid` naming `seed`, `steps` or `guidance`; the reason of `signal` when it is aborted
   */
  async draw(input: ScreenInput, options: DrawOptions): Promise<Cines> {
    const { seed, steps = this.sampler.steps, guidance = this.sampler.guidance, signal, onProgress } = options
    checkNumber('seed', Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)
    checkNumber('steps', Number.isInteger(steps) && steps >= 1 && steps <= this.#synthesis.schedule.steps)
    checkNumber('guidance', guidance >= 0 && guidance <= 100)
    signal?.throwIfAborted()
    const condition = await this.#encode(input)
    let step = 0
    const advance = () => {
      step++
      onProgress?.(step, steps * VIEWS.length)
      signal?.throwIfAborted()
    }
    const { latent, views, schedule } = this.#synthesis
    const plan = ddimSteps(schedule, this.sampler.prediction, steps)
    const draw = async (view: View) => {
      const { index, latentSize } = views[view]
      const dims = [latent.channels, latent.frames, latentSize, latentSize] as const
      const start = new Float32Array(latent.channels * latent.frames * latentSize ** 2)
      fillNormal(start, seed, index)
      const sampled = await sampleLatent(this.#sessions.denoiser, start, {
        ...condition,
        dims,
        view: index,
        guidance,
        steps: plan,
        afterStep: advance,
      })
      return this.#decode(view, sampled)
    }
    return { sax: await draw('sax'), '4ch': await draw('4ch') }
  }

  /** Frees the native sessions. */
  async release(): Promise<void> {
    for (const session of Object.values<InferenceSession>({ ...this.#sessions })) await session.release()
  }

  async #encode({ clean, person = {} }: ScreenInput): Promise<Condition> {
    const outputs = await this.#sessions.encoder.run(encoderInputs(clean, person))
    return { tokens: outputs.tokens!, embedding: numbers(outputs, 'embedding') }
  }

  async #decode(view: View, latent: Float32Array): Promise<Cine> {
    const { latent: shape, views, framesOut } = this.#synthesis
    const { index, size, latentSize, spacingMm } = views[view]
    const outputs = await this.#sessions.decoder.run({
      latent: new Tensor(
        'float32',
        latent.map((value) => value / shape.scale),
        [1, shape.channels, shape.frames, latentSize, latentSize],
      ),
      view: viewTensor(index, 1),
    })
    const frames = numbers(outputs, 'frames')
    if (frames.length !== shape.frames * size * size) throw new CodedError('bundle-mismatch', { field: 'frames' })
    return {
      view,
      frames: interpolateCycle(frames, shape.frames, framesOut),
      drawn: frames,
      count: framesOut,
      height: size,
      width: size,
      spacingMm,
    }
  }
}

function checkNumber(field: string, isRight: boolean): void {
  if (!isRight) throw new CodedError('field-invalid', { field })
}
