/**
 * GE MUSE XML (`RestingECG`): the rhythm waveform, int16 in base64, lead by lead. MUSE stores I, II and V1 to V6; the other four limb leads are
 * calculated as MUSE itself does. GE publishes no description; what the elements mean is plain from their names, and `LeadDataCRC32` is the
 * CRC-32 of zlib over the decoded bytes (so in each lead of the files that this was tested with).
 * @module
 */
import { crc32 } from 'node:zlib'
import { findLead } from '../../../shared/domain/leads.ts'
import { checkRecording, type Person, type RecordedLead, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { type Format, microvolts, wholeRate } from '../format.ts'
import { withLimbLeads } from '../limb-leads.ts'
import { ageAt, ageInYears, inchesToCm, plausiblePerson, poundsToKg, sexOfText } from '../person.ts'
import { type CalendarTime, utcTime } from '../time.ts'
import { base64Bytes, child, childrenOf, numberAt, parseXml, sniffXmlRoot, textAt, type XmlElement } from '../xml.ts'

export const muse: Format = {
  name: 'muse',
  detects: (bytes) => sniffXmlRoot(bytes) === 'RestingECG',
  parse: (main) => parse(main.bytes),
}

/**
 * @throws CodedError `payload-empty` (no rhythm waveform), `payload-malformed` (base64, checksum, count), `format-unsupported` (leads that do not
 *   start together, other sample types), `unit-unknown`, `gain-invalid`, `lead-unknown`, `field-invalid` (rate), and those of `parseXml` and
 *   `checkRecording`
 */
export function parse(bytes: Uint8Array): Recording {
  const root = parseXml(bytes)
  if (root.name !== 'RestingECG') throw new CodedError('payload-malformed', { field: 'RestingECG' })
  // The median beat stands beside the rhythm in a waveform of its own.
  const rhythm = childrenOf(root, 'Waveform').find((each) => textAt(each, 'WaveformType')?.toLowerCase() === 'rhythm')
  if (rhythm === undefined) throw new CodedError('payload-empty', { field: 'Waveform' })
  if ((textAt(rhythm, 'SampleType') ?? CONTINUOUS) !== CONTINUOUS) {
    throw new CodedError('format-unsupported', { field: 'SampleType' })
  }
  const leads = childrenOf(rhythm, 'LeadData').flatMap(readLead)
  if (leads.length === 0) throw new CodedError('lead-unknown', { field: 'LeadID' })
  return checkRecording({
    format: 'muse',
    rateHz: rateOf(rhythm),
    leads: withLimbLeads(leads),
    startedAt: startOf(root),
    person: readPerson(root),
  })
}

const CONTINUOUS = 'CONTINUOUS_SAMPLES'

/** `SampleBase` times ten to the power of `SampleExponent`. */
function rateOf(rhythm: XmlElement): number {
  const base = numberAt(rhythm, 'SampleBase')
  if (base === undefined) throw new CodedError('field-invalid', { field: 'SampleBase' })
  return wholeRate(base * 10 ** (numberAt(rhythm, 'SampleExponent') ?? 0))
}

/** None for a lead that is no standard one. */
function readLead(data: XmlElement): RecordedLead[] {
  const name = findLead(textAt(data, 'LeadID') ?? '')
  if (name === undefined) return []
  if ((numberAt(data, 'LeadSampleSize') ?? 2) !== 2) {
    throw new CodedError('format-unsupported', { lead: name, field: 'LeadSampleSize' })
  }
  for (const field of ['LeadTimeOffset', 'LeadOffsetFirstSample']) {
    if ((numberAt(data, field) ?? 0) !== 0) throw new CodedError('format-unsupported', { lead: name, field })
  }
  const unitsPerBit = numberAt(data, 'LeadAmplitudeUnitsPerBit')
  if (unitsPerBit === undefined) throw new CodedError('gain-invalid', { lead: name, field: 'LeadAmplitudeUnitsPerBit' })
  const gainUv = unitsPerBit * microvolts(unitOf(data), 'LeadAmplitudeUnits')
  return [{ name, gainUv, samples: readSamples(data, name) }]
}

const UNIT_WORDS: Readonly<Record<string, string>> = { microvolts: 'uV', millivolts: 'mV' }

function unitOf(data: XmlElement): string {
  const unit = textAt(data, 'LeadAmplitudeUnits') ?? ''
  return UNIT_WORDS[unit.toLowerCase()] ?? unit
}

function readSamples(data: XmlElement, lead: string): Int32Array {
  const bytes = base64Bytes(child(data, 'WaveFormData')?.text ?? '', `${lead}.WaveFormData`)
  const checksum = numberAt(data, 'LeadDataCRC32')
  // Zero: whoever wrote the file made none.
  if (checksum !== undefined && checksum !== 0 && checksum >>> 0 !== crc32(bytes)) {
    throw new CodedError('payload-malformed', { lead, field: 'LeadDataCRC32' })
  }
  const count = numberAt(data, 'LeadSampleCountTotal') ?? bytes.length / 2
  if (count * 2 !== bytes.length) throw new CodedError('payload-malformed', { lead, field: 'LeadSampleCountTotal' })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = new Int32Array(count)
  for (let i = 0; i < count; i++) samples[i] = view.getInt16(2 * i, true)
  return samples
}

/** `AcquisitionDate` is MM-DD-YYYY, and there is no zone. */
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
