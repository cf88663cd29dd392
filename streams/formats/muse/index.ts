/**
 * GE MUSE XML (`RestingECG`): the rhythm waveform, int16 in base64, lead by lead. MUSE stores I, II and V1 to V6; the other four limb leads
 * are calculated as MUSE does. GE publishes no description; the elements are clear from their names, and `LeadDataCRC32` is zlib's CRC-32
 * over the decoded bytes (true for every lead of the files that this was tested with).
 * @module
 */
import { crc32 } from 'node:zlib'
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { checkRecording, type Person, type RecordedLead, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import { type Format, type ReadOptions, wholeRate } from '../format.ts'
import { withLimbLeads } from '../limb-leads.ts'
import { ageAt, ageInYears, inchesToCm, plausiblePerson, poundsToKg, sexOfText } from '../person.ts'
import { type CalendarTime, utcTime } from '../time.ts'
import { microvolts } from '../units.ts'
import { base64Bytes, child, childrenOf, numberAt, parseXml, sniffXmlRoot, textAt, type XmlElement } from '../xml.ts'

export const muse: Format = {
  name: 'muse',
  detects: (bytes) => sniffXmlRoot(bytes) === 'RestingECG',
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * Parses a file. Of several rhythm waveforms, and of leads with different start times, the largest group of simultaneous leads is read.
 * Unreadable leads are left out.
 * @throws CodedError `payload-empty` (no rhythm waveform), `payload-malformed` (base64, checksum, count), `format-unsupported` (other
 * sample types), `unit-unknown`, `gain-invalid`, `lead-unknown`, `field-invalid` (rate), and those of `parseXml` and `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const root = parseXml(bytes)
  if (root.name !== 'RestingECG') throw new CodedError('payload-malformed', { field: 'RestingECG' })
  const warnings: ResultWarning[] = []
  const { rhythm, data } = richestRhythm(root)
  const leads = leadsAmong(data, factsOf, options, 'LeadID', warnings)
  const together = simultaneous(leads, ({ channel }) => `${offsetOf(channel)}`)
  if (together.length < leads.length) {
    const others = leads.filter((lead) => !together.includes(lead))
    warnings.push({ code: 'lead-left-out', leads: others.map(({ name }) => name) })
  }
  const read = readableLeads(together, ({ name, channel }) => readLead(name, channel, options), warnings)
  const equallyLong = simultaneous(read, ({ samples }) => `${samples.length}`)
  if (equallyLong.length < read.length) {
    const others = read.filter((lead) => !equallyLong.includes(lead))
    warnings.push({ code: 'lead-left-out', leads: others.map(({ name }) => name) })
  }
  return checkRecording({
    format: 'muse',
    rateHz: options.rateHz ?? rateOf(rhythm),
    leads: withLimbLeads(equallyLong),
    startedAt: startOf(root),
    person: readPerson(root),
    ...said(warnings),
  })
}

const CONTINUOUS = 'CONTINUOUS_SAMPLES'

/** The median beat is a separate waveform beside the rhythm. */
function richestRhythm(root: XmlElement): { rhythm: XmlElement; data: XmlElement[] } {
  const rhythms = childrenOf(root, 'Waveform')
    .filter((each) => textAt(each, 'WaveformType')?.toLowerCase() === 'rhythm')
    .map((rhythm) => ({ rhythm, data: childrenOf(rhythm, 'LeadData') }))
  if (rhythms.length === 0) throw new CodedError('payload-empty', { field: 'Waveform' })
  const continuous = rhythms.filter(({ rhythm }) => (textAt(rhythm, 'SampleType') ?? CONTINUOUS) === CONTINUOUS)
  const named = (data: readonly XmlElement[]) => data.filter((each) => factsOf(each).lead !== undefined).length
  const [richest] = continuous.toSorted((a, b) => named(b.data) - named(a.data))
  if (richest === undefined) throw new CodedError('format-unsupported', { field: 'SampleType' })
  return richest
}

function factsOf(data: XmlElement) {
  const label = textAt(data, 'LeadID') ?? ''
  return { label, lead: findLead(label), unit: textAt(data, 'LeadAmplitudeUnits') }
}

/** Start of a lead, from both fields with their different units. */
const offsetOf = (data: XmlElement) =>
  ['LeadTimeOffset', 'LeadOffsetFirstSample'].map((field) => numberAt(data, field) ?? 0).join()

/** The largest group with the same key; the first of equals. */
function simultaneous<T>(leads: readonly T[], keyOf: (lead: T) => string): T[] {
  const groups = new Map<string, T[]>()
  for (const lead of leads) groups.set(keyOf(lead), [...(groups.get(keyOf(lead)) ?? []), lead])
  return [...groups.values()].sort((a, b) => b.length - a.length)[0] ?? []
}

/** `SampleBase` · 10^`SampleExponent`. */
function rateOf(rhythm: XmlElement): number {
  const base = numberAt(rhythm, 'SampleBase')
  if (base === undefined) throw new CodedError('field-invalid', { field: 'SampleBase' })
  return wholeRate(base * 10 ** (numberAt(rhythm, 'SampleExponent') ?? 0))
}

function readLead(name: LeadName, data: XmlElement, { unit }: ReadOptions): RecordedLead {
  if ((numberAt(data, 'LeadSampleSize') ?? 2) !== 2) {
    throw new CodedError('format-unsupported', { lead: name, field: 'LeadSampleSize' })
  }
  const unitsPerBit = numberAt(data, 'LeadAmplitudeUnitsPerBit')
  if (unitsPerBit === undefined) throw new CodedError('gain-invalid', { lead: name, field: 'LeadAmplitudeUnitsPerBit' })
  const gainUv = unitsPerBit * microvolts(unit ?? textAt(data, 'LeadAmplitudeUnits') ?? '', 'LeadAmplitudeUnits')
  if (!(gainUv > 0)) throw new CodedError('gain-invalid', { lead: name, field: 'LeadAmplitudeUnitsPerBit' })
  return { name, gainUv, samples: readSamples(data, name) }
}

function readSamples(data: XmlElement, lead: string): Int32Array {
  const bytes = base64Bytes(child(data, 'WaveFormData')?.text ?? '', `${lead}.WaveFormData`)
  const checksum = numberAt(data, 'LeadDataCRC32')
  // Zero means that the writer computed none.
  if (checksum !== undefined && checksum !== 0 && checksum >>> 0 !== crc32(bytes)) {
    throw new CodedError('payload-malformed', { lead, field: 'LeadDataCRC32' })
  }
  // The sample counter is ignored: the data decide.
  const count = bytes.length >> 1
  if (count === 0) throw new CodedError('payload-malformed', { lead, field: 'WaveFormData' })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = new Int32Array(count)
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(2 * i, true)
  return samples
}

/** `AcquisitionDate` is MM-DD-YYYY, without a time zone. */
function startOf(root: XmlElement): string | undefined {
  const date = americanDate(textAt(root, 'TestDemographics', 'AcquisitionDate'))
  const [, hour, minute, second] =
    /^(\d{2}):(\d{2})(?::(\d{2}))?/.exec(textAt(root, 'TestDemographics', 'AcquisitionTime') ?? '') ?? []
  if (date === undefined || hour === undefined) return undefined
  return utcTime({ ...date, hour: Number(hour), minute: Number(minute), second: Number(second ?? 0) })
}

function americanDate(text: string | undefined): CalendarTime | undefined {
  const [, month, day, year] = /^(\d{2})-(\d{2})-(\d{4})$/.exec(text ?? '') ?? []
  return year === undefined ? undefined : { year: Number(year), month: Number(month), day: Number(day) }
}

function readPerson(root: XmlElement): Person | undefined {
  const person = child(root, 'PatientDemographics')
  const birth = americanDate(textAt(person, 'DateofBirth'))
  const at = americanDate(textAt(root, 'TestDemographics', 'AcquisitionDate'))
  return plausiblePerson({
    sex: sexOfText(textAt(person, 'Gender')),
    ageYears:
      ageInYears(numberAt(person, 'PatientAge'), textAt(person, 'AgeUnits')) ??
      ageAt(birth && utcTime(birth), at && utcTime(at)),
    heightCm: numberAt(person, 'HeightCM') ?? inchesToCm(numberAt(person, 'HeightIN')),
    weightKg: numberAt(person, 'WeightKG') ?? poundsToKg(numberAt(person, 'WeightLBS')),
  })
}
