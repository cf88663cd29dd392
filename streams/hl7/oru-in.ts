/**
 * Reads ECGs from an ORU^R01: waveforms in OBX NA (or MA), base64 files in OBX ED (aECG, MUSE, DICOM, SCP and all others of
 * `streams/formats`), and PDFs, which contain no samples and are counted.
 * @module
 */
import { findLead, type LeadName } from '../../shared/domain/leads.ts'
import { checkRecording, type RecordedLead, type Recording } from '../../shared/domain/recording.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { CodedError } from '../../shared/errors.ts'
import { said } from '../formats/channels.ts'
import { parseRecording } from '../formats/index.ts'
import { toLead } from '../formats/quantise.ts'
import { microvolts } from '../formats/units.ts'
import type { Message, Segment } from './message.ts'
import { timeOfText } from './time.ts'
import { type OrderNumbers, orderIn, type Visit, visitIn } from './visit.ts'

/** The site's defaults for senders that omit these. */
export interface WaveformDefaults {
  readonly rateHz?: number | undefined
  readonly gainUv?: number | undefined
  /** IANA name of the time zone for times without one. */
  readonly timeZone?: string | undefined
  /** The site's own lead codes: `ECG_II` → `II`. */
  readonly leads?: Readonly<Record<string, LeadName>> | undefined
}

export interface ReceivedEcg {
  readonly recording: Recording
  readonly order: OrderNumbers
  readonly visit: Visit
  /** OBX-18 (equipment instance), or MSH-3 for a sender that puts the device there. */
  readonly device: string | undefined
}

export interface ReceivedOru {
  readonly ecgs: readonly ReceivedEcg[]
  /** Attachments without samples. */
  readonly pdfs: number
}

/** An OBR with its OBXs, and the ORC, PID and PV1 that it stands under: a message may hold results of several patients. */
interface Group {
  readonly pid: Segment | undefined
  readonly pv1: Segment | undefined
  readonly orc: Segment | undefined
  readonly obr: Segment | undefined
  readonly obx: Segment[]
}

/**
 * Reads a message.
 * @throws CodedError naming the segment and field: `lead-missing` when there is no ECG, `lead-unknown`, `unit-unknown`, `rate-unsupported`,
 * `sample-invalid`, `payload-malformed` (base64), and those of the file's format
 */
export function readOru(message: Message, defaults: WaveformDefaults = {}): ReceivedOru {
  const ecgs: ReceivedEcg[] = []
  let pdfs = 0
  for (const { pid, pv1, orc, obr, obx } of groupsOf(message)) {
    const about = { order: orderIn(orc, obr), visit: visitIn(pid, pv1), device: deviceOf(obx) }
    const current = obx.filter(isCurrent)
    const read: Recording[] = []
    const unknown: CodedError[] = []
    for (const segment of current.filter((each) => each.text(2) === 'ED')) {
      for (const { bytes, isPdf } of attachmentsOf(segment)) {
        const file = isPdf ? undefined : readFile(bytes, segment)
        if (file instanceof CodedError) unknown.push(file)
        else if (file === undefined) pdfs++
        else read.push(file)
      }
    }
    const waves = current.filter((each) => ['NA', 'MA'].includes(each.text(2)))
    if (waves.length > 0) read.push(readWaves(waves, current, obr, defaults))
    // A picture or a letter beside an ECG is harmless; alone, it may be an ECG that we cannot read.
    if (unknown[0] !== undefined && read.length === 0) throw unknown[0]
    pdfs += unknown.length
    ecgs.push(...read.map((recording) => ({ recording, ...about })))
  }
  if (ecgs.length === 0 && pdfs === 0) throw new CodedError('lead-missing', { field: 'OBX' })
  return { ecgs, pdfs }
}

function groupsOf(message: Message): readonly Group[] {
  // Of one patient, a segment that occurs once belongs to the whole message, wherever it is.
  const isOfOne = message.all('PID').length <= 1
  const only = (name: string) => {
    const [first, second] = message.all(name)
    return isOfOne && second === undefined ? first : undefined
  }
  const [pv1, orc] = [only('PV1'), only('ORC')]
  const groups: Group[] = []
  let under: Pick<Group, 'pid' | 'pv1' | 'orc'> = { pid: only('PID'), pv1, orc }
  for (const segment of message.segments) {
    if (segment.name === 'PID') under = { pid: segment, pv1, orc }
    if (segment.name === 'PV1') under = { ...under, pv1: segment }
    if (segment.name === 'ORC') under = { ...under, orc: segment }
    if (segment.name === 'OBR') {
      groups.push({ ...under, obr: segment, obx: [] })
      // Each OBR has an ORC of its own.
      under = { ...under, orc }
    }
    if (segment.name !== 'OBX') continue
    if (groups.length === 0) groups.push({ ...under, obr: undefined, obx: [] })
    groups.at(-1)!.obx.push(segment)
  }
  return groups
}

function deviceOf(obx: readonly Segment[]): string | undefined {
  for (const segment of obx) if (segment.text(18) !== '') return segment.text(18)
  return undefined
}

const BASE64 = /^[A-Za-z0-9+/\s]*(?:=\s*){0,2}$/

/**
 * Whether an OBX states a result, by its status (OBX-11): `X` is one that could not be obtained.
 * @throws CodedError `format-unsupported` for one that takes back an earlier result: deleted (`D`), or sent for the wrong patient (`W`)
 */
function isCurrent(obx: Segment): boolean {
  const status = obx.text(11)
  if (['D', 'W'].includes(status) && ['ED', 'NA', 'MA'].includes(obx.text(2))) throw obx.error('format-unsupported', 11)
  return status !== 'X'
}

interface Attachment {
  readonly bytes: Buffer
  readonly isPdf: boolean
}

/** ED, once or repeated: source application ^ type ^ subtype ^ encoding ^ data. */
function attachmentsOf(obx: Segment): readonly Attachment[] {
  const all = obx.repetitions(5)
  // Text may contain the separator of repetitions.
  const areWhole = all.every((each) => obx.components(each).length >= ED_COMPONENTS)
  return (areWhole && all.length > 0 ? all : [obx.raw(5)]).map((each) => attachment(obx, obx.components(each)))
}

const ED_COMPONENTS = 5

/** Some senders write fewer components, so the encoding must be inferred; others write empty ones at the end. */
function attachment(obx: Segment, parts: readonly string[]): Attachment {
  const isWhole = parts.length >= ED_COMPONENTS
  const encoding = isWhole ? parts[3]!.toLowerCase() : 'base64'
  const rest = parts.slice(ED_COMPONENTS - 1)
  const data = (isWhole ? (encoding === 'a' ? rest.join('^') : rest.find((each) => each !== '')) : parts.at(-1)) ?? ''
  if (data === '') throw obx.error('payload-empty', 5)
  const bytes = decode(data, encoding)
  if (bytes === undefined) throw obx.error('payload-malformed', 5)
  return { bytes, isPdf: bytes.subarray(0, 5).toString('latin1') === '%PDF-' }
}

function decode(data: string, encoding: string): Buffer | undefined {
  if (encoding === 'hex') return /^(?:[0-9A-Fa-f]{2})+$/.test(data) ? Buffer.from(data, 'hex') : undefined
  if (encoding === 'a') return Buffer.from(data, 'utf8')
  return BASE64.test(data) ? Buffer.from(data, 'base64') : undefined
}

/** @returns the error of a file that is no ECG */
function readFile(bytes: Buffer, obx: Segment): Recording | CodedError {
  try {
    return parseRecording([{ name: 'attachment', bytes }])
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    const named = obx.error(error.code, 5, { within: String(error.detail.field ?? 'file') })
    if (error.code === 'format-unknown') return named
    throw named
  }
}

/** Settings of a waveform, in OBXs beside it: IHE PCD reference codes with any text before or after them. */
const RATE = /MDC_ATTR_SAMP_RATE|SAMP(?:LE|LING)?[_ ]?RATE/i
const RESOLUTION = /MDC_ATTR_NU_MSMT_RES|(?:AMPLITUDE|VOLTAGE)[_ ]?(?:RESOLUTION|GAIN)|UV[_ ]?PER[_ ]?(?:LSB|BIT)/i
const OFFSET = /MDC_ATTR_(?:BASELINE|DATA)_OFFSET|BASELINE/i

/** Rate from a value with its unit: per second, or a period in milliseconds. */
function rateOf(value: number, unit: string): number {
  if (/MDC_DIM_MILLI_SEC|^ms$/i.test(unit)) return 1000 / value
  return value
}

function readWaves(
  waves: readonly Segment[],
  all: readonly Segment[],
  obr: Segment | undefined,
  defaults: WaveformDefaults,
): Recording {
  const rates = new Set<number>()
  const leads: RecordedLead[] = []
  const left: LeadName[] = []
  for (const obx of waves) {
    const name = nameOf(obx, defaults)
    // A lead that was not recorded.
    if (obx.raw(5) === '' && name !== undefined) {
      left.push(name)
      continue
    }
    const channels = channelsOf(obx, all, defaults)
    if (channels === undefined) continue
    for (const { lead, rateHz } of channels) {
      rates.add(rateHz)
      leads.push(lead)
    }
  }
  const [first] = waves as readonly [Segment] // the caller has one
  if (leads.length === 0 && left.length > 0) throw first.error('payload-empty', 5)
  if (leads.length === 0) throw first.error('lead-unknown', 3)
  if (rates.size > 1) throw first.error('rate-unsupported', 5)
  const [rateHz] = [...rates] as [number] // a lead has a rate
  const startedAt = timeOfText(first.text(14), defaults.timeZone) ?? timeOfText(obr?.text(7), defaults.timeZone)
  const shortest = Math.min(...leads.map(({ samples }) => samples.length))
  // Channels of one strip may end a sample apart; only the common part is used.
  const even = leads.map((lead) => ({ ...lead, samples: lead.samples.subarray(0, shortest) }))
  try {
    const warnings: ResultWarning[] = left.length === 0 ? [] : [{ code: 'lead-left-out', leads: left }]
    return checkRecording({ format: 'hl7', rateHz, leads: even, startedAt, ...said(warnings) })
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    throw first.error(error.code, 5)
  }
}

interface Channel {
  readonly lead: RecordedLead
  readonly rateHz: number
}

/** The leads of one NA or MA; `undefined` for a channel that is not a standard lead (pulse, respiration). */
function channelsOf(obx: Segment, all: readonly Segment[], defaults: WaveformDefaults): Channel[] | undefined {
  const definition = all.find((each) => each.text(2) === 'CD' && isOf(each, obx))
  const names = definition === undefined ? [nameOf(obx, defaults)] : definitionNames(definition, defaults)
  if (names.every((name) => name === undefined)) return undefined
  const facet = (pattern: RegExp) =>
    all.find((each) => each.text(2) === 'NM' && isOf(each, obx) && pattern.test(`${each.text(3)} ${each.text(3, 2)}`))
  const rateHz = rateFor(obx, facet(RATE), definition, defaults)
  const columns = valuesOf(obx, names.length)
  return names.flatMap((name, index) => {
    if (name === undefined) return []
    const { gainUv, offset } = scaleFor(obx, facet(RESOLUTION), facet(OFFSET), definition, index, defaults)
    const volts = columns[index]!.map((value) => value - offset)
    return [{ lead: toLead(name, volts, gainUv, (at) => obx.error('sample-invalid', 5, { sample: at })), rateHz }]
  })
}

/** A facet belongs to a waveform by sub-id (IHE PCD: `1.1.2` and `1.1.2.1`) or, without one, to all waveforms of the OBR. */
function isOf(facet: Segment, wave: Segment): boolean {
  const [own, of] = [facet.text(4), wave.text(4)]
  return own === '' || of === '' || own === of || own.startsWith(`${of}.`) || of.startsWith(`${own}.`)
}

function nameOf(obx: Segment, { leads = {} }: WaveformDefaults): LeadName | undefined {
  const [code, text] = [obx.text(3), obx.text(3, 2)]
  return leads[code] ?? leads[text] ?? leadOfCode(text) ?? leadOfCode(code)
}

/** `MDC_ECG_ELEC_POTL_II`, `MDC_ECG_LEAD_II`, `ECG_II`, `Lead II`, `II`. */
function leadOfCode(text: string): LeadName | undefined {
  return findLead(text) ?? findLead(text.replace(/^.*(?:ELEC_POTL|LEAD|ECG|EKG|WAVEFORM)[\s_:-]+/i, ''))
}

/**
 * HL7 2.x chapter 7, CD: number & name ^ source ^ sensitivity & unit ^ calibration ^ sampling frequency ^ range, one repetition per
 * channel.
 */
function definitionNames(definition: Segment, defaults: WaveformDefaults): (LeadName | undefined)[] {
  return definition.repetitions(5).map((channel) => {
    const name = definition.part(channel, 1, 2) || definition.part(channel, 1, 1)
    return defaults.leads?.[name] ?? leadOfCode(name)
  })
}

function rateFor(
  obx: Segment,
  facet: Segment | undefined,
  definition: Segment | undefined,
  { rateHz }: WaveformDefaults,
): number {
  const [value, where] =
    facet !== undefined
      ? [rateOf(numberOf(facet.text(5)), facet.text(6, 2) || facet.text(6)), facet]
      : definition !== undefined
        ? [numberOf(definition.part(definition.repetitions(5)[0] ?? '', 5)), definition]
        : [rateHz ?? Number.NaN, obx]
  // A rate is never guessed, because a wrong one makes every interval wrong.
  if (!(value > 0)) throw where.error('rate-unsupported', 5)
  return value
}

function scaleFor(
  obx: Segment,
  resolution: Segment | undefined,
  baseline: Segment | undefined,
  definition: Segment | undefined,
  channel: number,
  { gainUv }: WaveformDefaults,
): { readonly gainUv: number; readonly offset: number } {
  const offset = baseline === undefined ? 0 : numberOf(baseline.text(5))
  if (resolution !== undefined) {
    return {
      gainUv: numberOf(resolution.text(5)) * unitOf(resolution, resolution.text(6, 2) || resolution.text(6)),
      offset,
    }
  }
  const stated = definition?.repetitions(5)[channel]
  if (definition !== undefined && stated !== undefined && definition.part(stated, 3) !== '') {
    const factor = numberOf(definition.part(stated, 4) || '1')
    const base = numberOf(definition.part(stated, 4, 2) || '0')
    const uv = numberOf(definition.part(stated, 3)) * unitOf(definition, definition.part(stated, 3, 2)) * factor
    return { gainUv: uv, offset: base }
  }
  // Samples in a unit of voltage need no resolution.
  const unit = obx.text(6, 2) || obx.text(6)
  if (unit !== '') return { gainUv: unitOf(obx, unit), offset }
  if (gainUv === undefined) throw obx.error('unit-unknown', 6)
  return { gainUv, offset }
}

const UNITS: Readonly<Record<string, string>> = {
  MDC_DIM_MILLI_VOLT: 'mV',
  MDC_DIM_MICRO_VOLT: 'uV',
  MDC_DIM_VOLT: 'V',
}

function unitOf(segment: Segment, unit: string): number {
  try {
    return microvolts(UNITS[unit] ?? unit, 'unit')
  } catch {
    throw segment.error('unit-unknown', segment.text(2) === 'CD' ? 5 : 6)
  }
}

/** NA: components are samples, and each repetition is a channel. MA: each repetition is a sample time, and components are channels. */
function valuesOf(obx: Segment, channels: number): Float64Array[] {
  const rows = obx.repetitions(5).map((row) => obx.components(row))
  if (rows.length === 0) throw obx.error('payload-empty', 5)
  const isMultiplexed = obx.text(2) === 'MA'
  const length = isMultiplexed ? rows.length : Math.floor((rows.length / channels) * rows[0]!.length)
  const flat = isMultiplexed ? rows : rowsOf(rows, channels, length)
  return Array.from({ length: channels }, (_, channel) =>
    Float64Array.from({ length }, (_, at) => {
      const text = isMultiplexed ? flat[at]![channel] : flat[channel]![at]
      if (text === undefined || text === '') return Number.NaN
      const value = numberOf(text)
      if (Number.isNaN(value)) throw obx.error('sample-invalid', 5, { sample: at })
      return value
    }),
  )
}

/** One lead over several repetitions is one long row (senders break lines in this way). */
function rowsOf(
  rows: readonly (readonly string[])[],
  channels: number,
  length: number,
): readonly (readonly string[])[] {
  if (channels > 1) return rows
  const row = rows.flat()
  return row.length === length ? [row] : [row.slice(0, length)]
}

const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/

const numberOf = (text: string): number => (NUMBER.test(text.trim()) ? Number(text) : Number.NaN)
