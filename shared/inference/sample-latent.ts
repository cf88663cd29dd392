/**
 * The sampling loop of the denoiser: from noise to the latent of one view.
 * @module
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { DdimStep } from './ddim.ts'
import { numbers } from './session.ts'

/** What the denoiser is conditioned on. */
export interface Condition {
  /** [1][tokens][width] */
  readonly tokens: Tensor
  /** [256] */
  readonly embedding: Float32Array
}

export interface Sampling extends Condition {
  /** [channels, frames, rows, columns] */
  readonly dims: readonly [number, number, number, number]
  /** Value of the network's input `view`. */
  readonly view: number
  /** prediction = unguided + guidance · (guided − unguided). With 1, the unguided half is not computed. */
  readonly guidance: number
  readonly steps: readonly DdimStep[]
  /** Called after each step. An error that it throws ends the loop. */
  readonly afterStep?: () => void
}

/**
 * Samples a latent. All tensors are made before the loop and use the same memory throughout: the model reads `latent` and writes
 * `prediction`, and each step updates `latent` in place. ONNX Runtime blocks the event loop while it runs, but yields to it before each
 * call.
 * @param start noise, [channels][frames][rows][columns]
 * @returns [channels][frames][rows][columns]
 */
export async function sampleLatent(
  denoiser: InferenceSession,
  start: Float32Array,
  { tokens, embedding, dims, view, guidance, steps, afterStep }: Sampling,
): Promise<Float32Array> {
  const size = start.length
  // With guidance the batch is two: the first is conditioned on the ECG, the second on the learned "no ECG".
  const batch = guidance === 1 ? 1 : 2
  const latent = repeat(start, batch)
  const prediction = new Float32Array(batch * size)
  const timestep = new Float32Array(batch)
  const feeds = {
    latent: new Tensor('float32', latent, [batch, ...dims]),
    timestep: new Tensor('float32', timestep, [batch]),
    tokens: new Tensor('float32', repeat(numbers({ tokens }, 'tokens'), batch), [batch, ...tokens.dims.slice(1)]),
    embedding: new Tensor('float32', repeat(embedding, batch), [batch, embedding.length]),
    conditioned: new Tensor('float32', Float32Array.of(1, 0).subarray(0, batch), [batch]),
    view: viewTensor(view, batch),
  }
  const fetches = { prediction: new Tensor('float32', prediction, [batch, ...dims]) }
  for (const step of steps) {
    timestep.fill(step.timestep)
    await denoiser.run(feeds, fetches)
    if (batch === 1) {
      for (let i = 0; i < size; i++) latent[i] = step.latent * latent[i]! + step.prediction * prediction[i]!
    } else {
      for (let i = 0; i < size; i++) {
        const unguided = prediction[size + i]!
        const guided = unguided + guidance * (prediction[i]! - unguided)
        const next = step.latent * latent[i]! + step.prediction * guided
        latent[i] = next
        latent[size + i] = next
      }
    }
    afterStep?.()
  }
  return latent.subarray(0, size)
}

/** The input `view` for a batch of one view. */
export const viewTensor = (view: number, batch: number) =>
  new Tensor('int64', new BigInt64Array(batch).fill(BigInt(view)), [batch])

/** Repeats the values `times` times. */
function repeat(values: Float32Array, times: number): Float32Array {
  const repeated = new Float32Array(times * values.length)
  for (let i = 0; i < times; i++) repeated.set(values, i * values.length)
  return repeated
}
