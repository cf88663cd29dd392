/**
 * Segments the heart's chambers in a cine with the bundle's U-Nets, frame by frame.
 * @module
 */
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import type { Bundle } from './bundle.ts'
import { numbers, openSession, type SessionOptions } from './session.ts'
import type { View } from './synthesis-manifest.ts'

/** Brighter pixels are clipped: in images from a scanner, fat near the coil may be ten times as bright as the heart. */
const WHITE_QUANTILE = 0.99

export class Segmenter {
  readonly #session: InferenceSession

  private constructor(session: InferenceSession) {
    this.#session = session
  }

  /**
   * Loads the segmenter of one view.
   * @throws CodedError `bundle-corrupt`, `bundle-mismatch`, `provider-inactive`
   */
  static async open(bundle: Bundle, view: View, options: SessionOptions = {}): Promise<Segmenter> {
    return new Segmenter(await openSession(bundle, `segmenter-${view}.onnx`, options))
  }

  /**
   * Counts the pixels of each label in each frame.
   * @param frames [count][height][width], in any unit
   * @returns [count][labels], the background first
   */
  async pixelCounts(frames: Float32Array, height: number, width: number): Promise<number[][]> {
    const pixels = height * width
    const image = new Float32Array(pixels)
    const feeds = { image: new Tensor('float32', image, [1, 1, height, width]) }
    const counts: number[][] = []
    for (let at = 0; at < frames.length; at += pixels) {
      image.set(frames.subarray(at, at + pixels))
      standardise(image)
      const logits = numbers(await this.#session.run(feeds), 'logits')
      const labels = largestPiece(winningLabels(logits, pixels), width)
      const count = new Array<number>(logits.length / pixels).fill(0)
      for (const label of labels) count[label]!++
      counts.push(count)
    }
    return counts
  }

  /** Frees the native session. */
  release(): Promise<void> {
    return this.#session.release()
  }
}

/** Normalises in place as in training (`cardiacnets.models.unet.standardise`): clipped white, zero mean, unit standard deviation. */
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

/** Quantile by linear interpolation, as in PyTorch. */
function quantile(values: Float32Array, share: number): number {
  const sorted = values.toSorted()
  const place = share * (sorted.length - 1)
  const below = Math.floor(place)
  const lower = sorted[below]!
  return lower + (place - below) * ((sorted[below + 1] ?? lower) - lower)
}

/** The label with the highest logit at each pixel. Logits are [labels][pixels]. */
function winningLabels(logits: Float32Array, pixels: number): Uint8Array {
  const labels = new Uint8Array(pixels)
  for (let i = 0; i < pixels; i++) {
    for (let label = 1; label < logits.length / pixels; label++) {
      if (logits[label * pixels + i]! > logits[labels[i]! * pixels + i]!) labels[i] = label
    }
  }
  return labels
}

/** Keeps the largest connected region (4-neighbourhood, whatever the labels) and clears the others: there is one heart. */
export function largestPiece(labels: Uint8Array, width: number): Uint8Array {
  const pieceOf = new Uint16Array(labels.length)
  const sizes = [0]
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] === 0 || pieceOf[start] !== 0) continue
    const piece = sizes.length
    const open = [start]
    let size = 0
    pieceOf[start] = piece
    for (let i = open.pop(); i !== undefined; i = open.pop()) {
      size++
      const column = i % width
      for (const next of [i - width, i + width, column > 0 ? i - 1 : -1, column < width - 1 ? i + 1 : -1]) {
        // Outside the image, `labels` is undefined.
        if (!labels[next] || pieceOf[next] !== 0) continue
        pieceOf[next] = piece
        open.push(next)
      }
    }
    sizes.push(size)
  }
  const largest = sizes.indexOf(Math.max(...sizes))
  return labels.map((label, i) => (pieceOf[i] === largest ? label : 0))
}
