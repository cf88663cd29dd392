/**
 * Reverses the high compression of SCP-ECG: ISO 11073-91064, clauses 5.7 (section 4) and annex C.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'
import type { ByteReader } from '../byte-reader.ts'

/** First and last sample, inclusive, from 0. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface Beats {
  readonly referenceMs: number
  /** Sample of the reference beat that is aligned with a beat's fiducial point, from 0. */
  readonly referenceFiducial: number
  /** Where the reference beat was subtracted, with the fiducial points; in order, without overlap. */
  readonly subtractions: readonly (Span & { readonly fiducial: number })[]
  /** Where every sample was kept; in order, without overlap. */
  readonly protectedSpans: readonly Span[]
}

/** Reads section 4. */
export function readBeats(section: ByteReader): Beats {
  const field = 'beats'
  const referenceMs = section.u16(field)
  const referenceFiducial = section.u16(field) - 1
  const count = section.u16(field)
  const subtractions: (Span & { fiducial: number })[] = []
  for (let i = 0; i < count; i++) {
    const type = section.u16(field)
    const start = section.u32(field) - 1
    const fiducial = section.u32(field) - 1
    const end = section.u32(field) - 1
    // Only beats of type 0 resemble the reference beat.
    if (type === 0 && end >= 0) subtractions.push({ start, fiducial, end })
  }
  const protectedSpans: Span[] = []
  // These may be absent when nothing was decimated.
  for (let i = 0; i < count && section.remaining > 0; i++) {
    const start = section.u32(field) - 1
    const end = section.u32(field) - 1
    if (end >= 0) protectedSpans.push({ start, end })
  }
  for (const spans of [subtractions, protectedSpans]) {
    let next = 0
    for (const { start, end } of spans) {
      if (!(start >= next && end >= start)) throw section.malformed(field)
      next = end + 1
    }
  }
  return { referenceMs, referenceFiducial, subtractions, protectedSpans }
}

/** Adds the reference beat where it was subtracted, with both in steps of the same size. */
export function addReferenceBeats(samples: Int32Array, reference: Int32Array, beats: Beats): void {
  for (const { start, end, fiducial } of beats.subtractions) {
    const shift = beats.referenceFiducial - fiducial
    const from = Math.max(start, -shift)
    const to = Math.min(end, samples.length - 1, reference.length - 1 - shift)
    for (let i = from; i <= to; i++) samples[i] = samples[i]! + reference[i + shift]!
  }
}

/** Spans over the whole lead, alternately decimated and kept. */
function alternating(length: number, protectedSpans: readonly Span[]): (Span & { readonly isKept: boolean })[] {
  const spans: (Span & { isKept: boolean })[] = []
  let next = 0
  for (const { start, end } of protectedSpans) {
    if (start >= length) break
    if (start > next) spans.push({ start: next, end: start - 1, isKept: false })
    spans.push({ start, end: Math.min(end, length - 1), isKept: true })
    next = end + 1
  }
  if (next < length) spans.push({ start: next, end: length - 1, isKept: false })
  return spans
}

/**
 * Number of stored values of a lead of `length` samples, when every `factor` samples outside the protected spans were averaged.
 * @throws CodedError `format-unsupported` when a span between two others is not a multiple of `factor`: the standard requires it, and the
 * rounding of other devices is unknown
 */
export function decimatedLength(length: number, factor: number, protectedSpans: readonly Span[]): number {
  let count = 0
  for (const { start, end, isKept } of alternating(length, protectedSpans)) {
    const samples = end - start + 1
    if (!isKept && samples % factor !== 0 && end < length - 1)
      throw new CodedError('format-unsupported', { field: 'protectedSpans' })
    count += isKept ? samples : Math.floor(samples / factor)
  }
  return count
}

/**
 * The samples that `decimated` represents: linear interpolation between the centres of the averaged groups, constant before the first and
 * after the last.
 */
export function interpolate(
  decimated: Int32Array,
  length: number,
  factor: number,
  protectedSpans: readonly Span[],
): Int32Array {
  const output = new Int32Array(length)
  let next = 0
  for (const { start, end, isKept } of alternating(length, protectedSpans)) {
    const count = isKept ? end - start + 1 : Math.floor((end - start + 1) / factor)
    if (isKept) output.set(decimated.subarray(next, next + count), start)
    else fillLines(output.subarray(start, end + 1), decimated.subarray(next, next + count), factor)
    next += count
  }
  return output
}

function fillLines(output: Int32Array, averages: Int32Array, factor: number): void {
  const last = averages.length - 1
  // An incomplete group at the very end is not represented.
  if (last < 0) return
  for (let i = 0; i < output.length; i++) {
    const place = Math.min(Math.max((i + 0.5) / factor - 0.5, 0), last)
    const left = Math.min(Math.floor(place), Math.max(last - 1, 0))
    const right = Math.min(left + 1, last)
    output[i] = Math.round(averages[left]! + (place - left) * (averages[right]! - averages[left]!))
  }
}
