/**
 * Lossless packing of a recording's samples, so that a 10-s window of twelve leads fits one 64 KiB SQS billing unit.
 *
 * Layout: `ECG1`, uint16 LE length of the header, JSON header, then zstd of the residuals as byte planes. A residual is the zigzag
 * difference of consecutive samples. The four limb leads that follow from I and II are first reduced to their difference from Einthoven's
 * and Goldberger's equations. All arithmetic wraps at 32 bits, so every int32 (also `MISSING_SAMPLE`) is preserved. The message of a real
 * window at 500 Hz takes 35 KB (median of 186; docs/benchmarks.md).
 * @module
 */
import { createHash } from 'node:crypto'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import * as z from 'zod'
import { LEADS } from '../domain/leads.ts'
import { checkRecording, MAX_DURATION_S, RATE_RANGE_HZ, type RecordedLead } from '../domain/recording.ts'
import type { Waveform } from '../domain/waveform.ts'
import { CodedError } from '../errors.ts'

const MAGIC = Buffer.from('ECG1', 'latin1')
const PREFIX_BYTES = MAGIC.length + 2
const PLANES = 4

const Header = z.object({
  rateHz: z.number().min(RATE_RANGE_HZ.min).max(RATE_RANGE_HZ.max),
  leads: z
    .array(z.tuple([z.enum(LEADS), z.number().positive()]))
    .min(1)
    .max(LEADS.length),
  samples: z
    .int()
    .positive()
    .max(RATE_RANGE_HZ.max * MAX_DURATION_S),
})

/** Packs a waveform. Does not throw for a checked recording. */
export function encodeWaveform(waveform: Waveform): Buffer {
  const header = Buffer.from(headerJson(waveform), 'utf8')
  const length = Buffer.alloc(2)
  length.writeUInt16LE(header.length)
  return Buffer.concat([MAGIC, length, header, packSamples(waveform)])
}

/** Packs the samples only, for callers that store rate, leads, gains and length elsewhere. */
export function packSamples({ leads }: Pick<Waveform, 'leads'>): Buffer {
  const samples = leads[0]!.samples.length
  const planes = Buffer.allocUnsafe(leads.length * samples * PLANES)
  const planeBytes = leads.length * samples
  const prediction = new LimbPrediction(leads)
  let at = 0
  for (const lead of leads) {
    const predicted = prediction.of(lead)
    const values = lead.samples
    let previous = 0
    for (let i = 0; i < samples; i++) {
      const residual = (values[i]! - predicted[i]!) | 0
      const difference = (residual - previous) | 0
      previous = residual
      const zigzag = ((difference << 1) ^ (difference >> 31)) >>> 0
      planes[at] = zigzag & 0xff
      planes[at + planeBytes] = (zigzag >>> 8) & 0xff
      planes[at + 2 * planeBytes] = (zigzag >>> 16) & 0xff
      planes[at + 3 * planeBytes] = zigzag >>> 24
      at++
    }
  }
  return zstdCompressSync(planes)
}

/**
 * Unpacks the output of `encodeWaveform`.
 * @throws CodedError `payload-malformed` for anything else, and the codes of `checkRecording`
 */
export function decodeWaveform(bytes: Uint8Array): Waveform {
  const { header, packed } = splitWaveform(bytes)
  const leads = unpackSamples(
    header.leads.map(([name, gainUv]) => ({ name, gainUv })),
    header.samples,
    packed,
  )
  return checkRecording({ format: 'packed', rateHz: header.rateHz, leads })
}

/**
 * Unpacks the output of `packSamples`.
 * @param samples length of each lead; no more memory is allocated
 * @throws CodedError `payload-malformed` for anything else
 */
export function unpackSamples(
  of: readonly Pick<RecordedLead, 'name' | 'gainUv'>[],
  samples: number,
  packed: Uint8Array,
): readonly RecordedLead[] {
  const planeBytes = of.length * samples
  const planes = planesOf(packed, planeBytes * PLANES)
  // Predicted leads depend on I and II, so there are two passes: first the independent leads, then the predicted ones.
  const decoded = of.map(({ name, gainUv }) => ({ name, gainUv, samples: new Int32Array(samples) }))
  const prediction = new LimbPrediction(decoded)
  for (const pass of ['alone', 'predicted'] as const) {
    for (const [index, lead] of decoded.entries()) {
      if (prediction.isFor(lead) !== (pass === 'predicted')) continue
      const predicted = prediction.of(lead)
      const values = lead.samples
      let previous = 0
      let at = index * samples
      for (let i = 0; i < samples; i++, at++) {
        const zigzag =
          planes[at]! |
          (planes[at + planeBytes]! << 8) |
          (planes[at + 2 * planeBytes]! << 16) |
          (planes[at + 3 * planeBytes]! << 24)
        previous = (previous + ((zigzag >>> 1) ^ -(zigzag & 1))) | 0
        values[i] = previous + predicted[i]!
      }
    }
  }
  return decoded
}

/** SHA-256 of the samples with their rate, leads and gains. The same for the same signal, however it was packed or sent. */
export function waveformSha256(waveform: Waveform): string {
  const hash = createHash('sha256').update(headerJson(waveform))
  for (const { samples } of waveform.leads) {
    hash.update(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength))
  }
  return hash.digest('hex')
}

function headerJson({ rateHz, leads }: Waveform): string {
  return JSON.stringify({
    rateHz,
    leads: leads.map(({ name, gainUv }) => [name, gainUv]),
    samples: leads[0]!.samples.length,
  })
}

/**
 * Splits the output of `encodeWaveform` into its header and the packed samples.
 * @throws CodedError `payload-empty`, `payload-malformed`
 */
export function splitWaveform(bytes: Uint8Array): {
  readonly header: z.infer<typeof Header>
  readonly packed: Buffer
} {
  return unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
}

function unpack(bytes: Buffer): { header: z.infer<typeof Header>; packed: Buffer } {
  if (bytes.length === 0) throw new CodedError('payload-empty', { field: 'waveform' })
  try {
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('no magic')
    const end = PREFIX_BYTES + bytes.readUInt16LE(MAGIC.length)
    const header = Header.parse(JSON.parse(bytes.toString('utf8', PREFIX_BYTES, end)))
    return { header, packed: bytes.subarray(end) }
  } catch (cause) {
    throw new CodedError('payload-malformed', { field: 'waveform' }, { cause })
  }
}

function planesOf(packed: Uint8Array, size: number): Buffer {
  try {
    const planes = zstdDecompressSync(packed, { maxOutputLength: size })
    if (planes.length !== size) throw new Error('short planes')
    return planes
  } catch (cause) {
    throw new CodedError('payload-malformed', { field: 'waveform' }, { cause })
  }
}

const PREDICTED = ['III', 'aVR', 'aVL', 'aVF'] as const
type PredictedLead = (typeof PREDICTED)[number]

/**
 * Predicts leads from I and II, when both are present in the same unit. Whole arrays: a function that is called for each of the 60,000
 * samples of a window took longer than zstd.
 */
class LimbPrediction {
  readonly #i: RecordedLead | undefined
  readonly #ii: RecordedLead | undefined
  readonly #none: Int32Array
  readonly #predicted: Int32Array

  constructor(leads: readonly RecordedLead[]) {
    this.#i = leads.find(({ name }) => name === 'I')
    this.#ii = leads.find(({ name }) => name === 'II')
    this.#none = new Int32Array(leads[0]?.samples.length ?? 0)
    this.#predicted = new Int32Array(this.#none.length)
  }

  /** False for an independent lead, and where I or II is absent or in another unit. */
  isFor({ name, gainUv }: RecordedLead): boolean {
    return PREDICTED.some((each) => each === name) && gainUv === this.#i?.gainUv && gainUv === this.#ii?.gainUv
  }

  /** @returns one value a sample, 0 for an independent lead. The next call overwrites it. */
  of(lead: RecordedLead): Int32Array {
    if (!this.isFor(lead)) return this.#none
    fillPrediction(lead.name as PredictedLead, this.#i!.samples, this.#ii!.samples, this.#predicted)
    return this.#predicted
  }
}

function fillPrediction(name: PredictedLead, i: Int32Array, ii: Int32Array, predicted: Int32Array): void {
  const n = predicted.length
  if (name === 'III') for (let t = 0; t < n; t++) predicted[t] = (ii[t]! - i[t]!) | 0
  else if (name === 'aVR') for (let t = 0; t < n; t++) predicted[t] = -((i[t]! + ii[t]!) >> 1)
  else if (name === 'aVL') for (let t = 0; t < n; t++) predicted[t] = i[t]! - (ii[t]! >> 1)
  else for (let t = 0; t < n; t++) predicted[t] = ii[t]! - (i[t]! >> 1)
}
