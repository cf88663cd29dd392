/**
 * The leads of an SCP-ECG record: sections 3 (lead list), 5 (reference beat) and 6 (rhythm), after ISO 11073-91064, clauses 5.6, 5.8, 5.9.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, MISSING_SAMPLE, RATE_RANGE_HZ, type RecordedLead } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ByteReader } from '../byte-reader.ts'
import { leadsAmong, readableLeads } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import { addReferenceBeats, type Beats, decimatedLength, interpolate, readBeats, type Span } from './beats.ts'
import { decodeHuffman, type HuffmanTables, readHuffmanTables } from './huffman.ts'

const NANOVOLTS_PER_MICROVOLT = 1000

/** One lead of section 3, with the samples for which it was recorded, from 0. */
interface LeadSpan extends Span {
  readonly name: LeadName | undefined
}

/** Content of section 5 or 6. */
interface Signals {
  readonly nanovolts: number
  readonly intervalUs: number
  /** Order of differences: 0, 1 or 2. */
  readonly differences: number
  readonly isBimodal: boolean
  /** One entry per lead, in the order of section 3. */
  readonly data: readonly Uint8Array[]
}

export interface ScpLeads {
  readonly rateHz: number
  /** Samples of the record before the first one here. */
  readonly firstSample: number
  readonly leads: readonly RecordedLead[]
}

/**
 * Reads the leads.
 * @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported`, `lead-unknown`, `rate-unsupported`
 */
export function readLeads(
  sections: ReadonlyMap<number, ByteReader>,
  options: ReadOptions,
  warnings: ResultWarning[],
): ScpLeads {
  const { listed, usesReferenceBeat } = readLeadSpans(required(sections, 3))
  const rhythm = readSignals(required(sections, 6), listed.length)
  const spans = countedFromZero(listed, rhythm.intervalUs)
  const needsBeats = usesReferenceBeat || rhythm.isBimodal
  const beats = needsBeats ? readBeats(required(sections, 4)) : undefined
  const reference = needsBeats ? readSignals(required(sections, 5), spans.length) : undefined
  const intervalUs = reference?.intervalUs ?? rhythm.intervalUs
  const factor = rhythm.intervalUs / intervalUs
  if (!(Number.isInteger(factor) && factor >= 1 && (factor === 1 || rhythm.isBimodal)))
    throw new CodedError('format-unsupported', { field: 'interval' })
  const rateHz = options.rateHz ?? 1e6 / intervalUs
  const section2 = sections.get(2)
  const tables = section2 && readHuffmanTables(section2)
  const channels = spans.map((span, place) => ({ span, place, lead: span.name, label: '' }))
  const known = leadsAmong(channels, (channel) => channel, options, 'section3', warnings)
  const starts = new Map<LeadName, number>()
  const recorded = readableLeads(
    known,
    ({ name, channel: { span, place } }) => {
      checkDuration(span.end - span.start + 1, rateHz, 'samples')
      starts.set(name, span.start)
      const samples = decodeRhythm(span, place, { rhythm, reference, beats, usesReferenceBeat, factor, tables })
      return { name, gainUv: rhythm.nanovolts / NANOVOLTS_PER_MICROVOLT, samples }
    },
    warnings,
  )
  const startOf = ({ name }: RecordedLead) => starts.get(name)!
  const firstSample = Math.min(...recorded.map(startOf))
  const length = Math.max(...recorded.map((lead) => startOf(lead) + lead.samples.length)) - firstSample
  checkDuration(length, rateHz, 'samples')
  const leads = recorded.map((lead) => {
    const samples = new Int32Array(length).fill(MISSING_SAMPLE)
    samples.set(lead.samples, startOf(lead) - firstSample)
    return { ...lead, samples }
  })
  return { rateHz, firstSample, leads }
}

interface Coding {
  readonly rhythm: Signals
  readonly reference: Signals | undefined
  readonly beats: Beats | undefined
  readonly usesReferenceBeat: boolean
  readonly factor: number
  readonly tables: HuffmanTables | undefined
}

function decodeRhythm(span: Span, place: number, coding: Coding): Int32Array {
  const { rhythm, reference, beats, usesReferenceBeat, factor, tables } = coding
  const length = span.end - span.start + 1
  if (beats === undefined || reference === undefined) return decode(rhythm, place, length, tables, 'section6')
  if (span.start !== 0) throw new CodedError('format-unsupported', { field: 'section3' })
  const { protectedSpans } = beats
  const samples = rhythm.isBimodal
    ? interpolate(
        decode(rhythm, place, decimatedLength(length, factor, protectedSpans), tables, 'section6'),
        length,
        factor,
        protectedSpans,
      )
    : decode(rhythm, place, length, tables, 'section6')
  if (usesReferenceBeat) {
    const referenceLength = Math.floor((beats.referenceMs * 1000) / reference.intervalUs)
    const scale = reference.nanovolts / rhythm.nanovolts
    const beat = decode(reference, place, referenceLength, tables, 'section5')
    addReferenceBeats(samples, scale === 1 ? beat : beat.map((value) => Math.round(value * scale)), beats)
  }
  return samples
}

function decode(
  { data, differences }: Signals,
  place: number,
  count: number,
  tables: HuffmanTables | undefined,
  field: string,
): Int32Array {
  const bytes = data[place]!
  const samples = tables === undefined ? readRaw(bytes, count, field) : decodeHuffman(tables, bytes, count, field)
  for (let i = 1; differences === 1 && i < count; i++) samples[i] = samples[i]! + samples[i - 1]!
  for (let i = 2; differences === 2 && i < count; i++) samples[i] = samples[i]! + 2 * samples[i - 1]! - samples[i - 2]!
  return samples
}

function readRaw(bytes: Uint8Array, count: number, field: string): Int32Array {
  if (bytes.length < count * 2) throw new CodedError('payload-malformed', { field, expectedBytes: count * 2 })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = new Int32Array(count)
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(i * 2, true)
  return samples
}

function required(sections: ReadonlyMap<number, ByteReader>, id: number): ByteReader {
  const section = sections.get(id)
  if (section === undefined) throw new CodedError('payload-malformed', { field: `section${id}` })
  return section
}

const USES_REFERENCE_BEAT = 0b1

/** Spans as in section 3, whatever number they start from. */
function readLeadSpans(section: ByteReader): { listed: LeadSpan[]; usesReferenceBeat: boolean } {
  const field = 'section3'
  const count = section.u8(field)
  const flags = section.u8(field)
  const listed = Array.from({ length: count }, (): LeadSpan => {
    const start = section.u32(field)
    const end = section.u32(field)
    if (!(end >= start)) throw section.malformed(field)
    return { start, end, name: leadOfScpCode(section.u8(field)) }
  })
  if (count === 0) throw new CodedError('lead-missing', { field })
  return { listed, usesReferenceBeat: (flags & USES_REFERENCE_BEAT) !== 0 }
}

/** A lead's length is a whole number of tenths of a second. */
const PIECE_US = 100_000

/**
 * Converts spans to count from 0. In the standard samples count from 1. Some devices count from 0, and some of these count the end as from
 * 1: of the two possible lengths, the one of whole tenths of a second is taken.
 */
function countedFromZero(listed: readonly LeadSpan[], intervalUs: number): LeadSpan[] {
  const isFromZero = listed.some(({ start }) => start === 0)
  const isWhole = (samples: number) => (samples * intervalUs) % PIECE_US === 0
  const isEndFromOne = !isFromZero || listed.every(({ end }) => isWhole(end) && !isWhole(end + 1))
  return listed.map(({ name, start, end }) => ({
    name,
    start: isFromZero ? start : start - 1,
    end: isEndFromOne ? end - 1 : end,
  }))
}

function readSignals(section: ByteReader, leads: number): Signals {
  const field = 'signals'
  const nanovolts = section.u16(field)
  const intervalUs = section.u16(field)
  const differences = section.u8(field)
  const isBimodal = section.u8(field) === 1
  if (nanovolts === 0) throw new CodedError('gain-invalid', { field })
  if (intervalUs === 0) throw new CodedError('rate-unsupported', { field, ...RATE_RANGE_HZ })
  if (differences > 2) throw new CodedError('format-unsupported', { field: 'differences' })
  const lengths = Array.from({ length: leads }, () => section.u16(field))
  return {
    nanovolts,
    intervalUs,
    differences,
    isBimodal,
    data: lengths.map((length) => section.bytes(length, field)),
  }
}
