/**
 * Finds the heart's chambers in a cine: the bundle's U-Nets, a frame at a time.
 * @module
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { Bundle } from './bundle.ts'
import { numbers, openSession, type SessionOptions } from './session.ts'
import type { View } from './synthesis-manifest.ts'
import type { Cine } from './synthesizer.ts'

/** The brightest hundredth is cut off: in a scanner's pictures, fat under the coil may be ten times as bright as the heart. */
const WHITE_QUANTILE = 0.99

export class Segmenter {
  readonly #session: InferenceSession

  private constructor(session: InferenceSession) {
    this.#session = session
  }

  /** @throws CodedError `bundle-corrupt`, `bundle-mismatch` */
  static async open(bundle: Bundle, view: View, options: SessionOptions = {}): Promise<Segmenter> {
    return new Segmenter(await openSession(bundle, `segmenter-${view}.onnx`, options))
  }

  /** @returns pixels of each label in each frame: [count][labels], the background first */
  async pixelCounts({ frames, count, height, width }: Cine): Promise<number[][]> {
    const pixels = height * width
    const image = new Float32Array(pixels)
    const feeds = { image: new Tensor('float32', image, [1, 1, height, width]) }
    const counts: number[][] = []
    for (let frame = 0; frame < count; frame++) {
      image.set(frames.subarray(frame * pixels, (frame + 1) * pixels))
      standardise(image)
      counts.push(countLargest(numbers(await this.#session.run(feeds), 'logits'), pixels))
    }
    return counts
  }

  /** Frees the native session. */
  release(): Promise<void> {
    return this.#session.release()
  }
}

/** In place, as the U-Nets learned (`cardiacnets.models.unet.standardise`): white cut off, zero mean, unit standard deviation. */
export function standardise(image: Float32Array): void {
  const white = quantile(image, WHITE_QUANTILE)
  let sum = 0
  for (let i = 0; i < image.length; i++) {
    image[i] = Math.min(image[i]!, white)
    sum += image[i]!
  }
  const mean = sum / image.length
  let squares = 0
  for (const value of image) squares += (value - mean) ** 2
  const deviation = Math.max(1e-6, Math.sqrt(squares / (image.length - 1)))
  for (let i = 0; i < image.length; i++) image[i] = (image[i]! - mean) / deviation
}

/** By linear interpolation, as PyTorch has it. */
function quantile(values: Float32Array, share: number): number {
  const sorted = values.toSorted()
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const lower = sorted[below]!
  return lower + (place - below) * ((sorted[below + 1] ?? lower) - lower)
}

/** Of [classes][pixels], how many pixels each class wins. */
function countLargest(logits: Float32Array, pixels: number): number[] {
  const counts = new Array<number>(logits.length / pixels).fill(0)
  for (let i = 0; i < pixels; i++) {
    let best = 0
    for (let label = 1; label < counts.length; label++) {
      if (logits[label * pixels + i]! > logits[best * pixels + i]!) best = label
    }
    counts[best]!++
  }
  return counts
}
