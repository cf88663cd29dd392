/**
 * EDF, EDF+ and BDF (24 bits). Gaps of a discontinuous file (EDF+D) become missing samples.
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import {
  checkRecording,
  MISSING_SAMPLE,
  type Person,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { ageAt, plausiblePerson } from '../person.ts'
import { monthByName, shifted, utcTime } from '../time.ts'
import { microvolts } from '../units.ts'
import { type EdfHeader, type EdfSignal, looksLikeEdf, parseHeader } from './header.ts'
import { type EdfRecords, isAnnotation, locateRecords } from './records.ts'

export const edf: Format = {
  name: 'edf',
  detects: looksLikeEdf,
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * Leaves out channels that are not standard leads. Also leaves out, with a warning each: leads of another rate than most, leads without a
 * usable range or unit, and a truncated last record.
 * @throws CodedError `payload-malformed`, `payload-empty`, `payload-too-large`, `lead-unknown`, `unit-unknown`, `gain-invalid`,
 * `rate-unsupported`, and those of `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  const header = parseHeader(bytes)
  const signals = header.signals.filter((signal) => !isAnnotation(signal))
  const named = leadsAmong(
    signals,
    (signal) => ({ ...signal, lead: findLead(signal.label) }),
    options,
    'label',
    warnings,
  )
  const samplesPerRecord = usualCount(named.map(({ channel }) => channel.samplesPerRecord))
  const leads = named.filter(({ channel }) => channel.samplesPerRecord === samplesPerRecord)
  if (leads.length < named.length) {
    const others = named.filter((lead) => !leads.includes(lead))
    warnings.push({ code: 'lead-left-out', leads: others.map(({ name }) => name) })
  }
  const rateHz = options.rateHz ?? rateOf(samplesPerRecord, header.recordSeconds)
  const records = locateRecords(bytes, header, samplesPerRecord, rateHz)
  if (records.isCut) warnings.push({ code: 'samples-left-out', field: `record ${records.starts.length + 1}` })
  const startedAt = startOf(header)
  return checkRecording({
    format: 'edf',
    rateHz,
    leads: readableLeads(
      leads,
      ({ name, channel }) =>
        readLead(name, { ...channel, unit: options.unit ?? channel.unit }, header.sampleBytes, records),
      warnings,
    ),
    startedAt: startedAt === undefined ? undefined : shifted(startedAt, records.onsetS * 1000),
    person: personOf(header, startedAt),
    ...said(warnings),
  })
}

/** The number of samples that most leads have; of equally frequent ones, the highest. */
function usualCount(counts: readonly number[]): number {
  const times = (count: number) => counts.filter((each) => each === count).length
  return counts.toSorted((a, b) => times(b) - times(a) || b - a)[0]!
}

/** Durations have eight characters: 300 Hz is one sample in 0.003333 s. */
const WHOLE_RATE_TOLERANCE = 2e-4

function rateOf(samplesPerRecord: number, recordSeconds: number): number {
  const rateHz = samplesPerRecord / recordSeconds
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max))
    throw new CodedError('rate-unsupported', { field: 'samplesPerRecord', ...RATE_RANGE_HZ })
  const whole = Math.round(rateHz)
  return Math.abs(rateHz - whole) <= WHOLE_RATE_TOLERANCE * whole ? whole : rateHz
}

function readLead(name: LeadName, signal: EdfSignal, sampleBytes: 2 | 3, records: EdfRecords): RecordedLead {
  const { physical, digital, unit } = signal
  const step = (physical.max - physical.min) / (digital.max - digital.min)
  const gainUv = Math.abs(step) * microvolts(unit, 'unit')
  if (!(digital.max > digital.min && gainUv > 0)) throw new CodedError('gain-invalid', { field: 'physicalMax' })
  const zero = Math.round(digital.min - physical.min / step)
  if (!(Math.abs(zero) < 2 ** 30)) throw new CodedError('gain-invalid', { field: 'physicalMin' })
  // A physical minimum above the maximum means that the amplifier inverts.
  const sign = Math.sign(step)
  const { bytes, recordBytes, starts, length } = records
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = sampleBytes === 2 ? int16 : int24
  const samples = new Int32Array(length).fill(MISSING_SAMPLE)
  for (const [record, start] of starts.entries()) {
    const at = record * recordBytes + signal.firstSample * sampleBytes
    for (let i = 0; i < signal.samplesPerRecord; i++)
      samples[start + i] = sign * (read(view, at + i * sampleBytes) - zero)
  }
  return { name, gainUv, samples }
}

const int16 = (view: DataView, at: number) => view.getInt16(at, true)
const int24 = (view: DataView, at: number) => view.getUint16(at, true) | (view.getInt8(at + 2) << 16)

/** Dates are dd.mm.yy, from 1985 to 2084. In EDF+, `Startdate X` means that the date is withheld. */
function startOf({ date, time, variant, recording }: EdfHeader): string | undefined {
  const [day, month, year] = date.split('.').map(Number)
  const [hour, minute, second] = time.split('.').map(Number)
  if (variant.includes('+') && /^Startdate X\b/.test(recording)) return undefined
  if (day === undefined || month === undefined || year === undefined) return undefined
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  return utcTime({ year: year + (year < 85 ? 2000 : 1900), month, day, hour, minute, second })
}

// EDF+ 2.1.3.3: code, sex, birth date, name; X for unknown.
const PATIENT = /^\S+ (?<sex>[MFX]) (?:(?<day>\d{2})-(?<month>[A-Z]{3})-(?<year>\d{4})|X)(?: |$)/i

function personOf({ variant, patient }: EdfHeader, startedAt: string | undefined): Person | undefined {
  const parts = variant.includes('+') ? PATIENT.exec(patient)?.groups : undefined
  if (parts === undefined) return undefined
  const { sex, day, month, year } = parts
  const birth = utcTime({ year: Number(year), month: monthByName(month ?? ''), day: Number(day) })
  return plausiblePerson({
    sex: sex === 'M' ? 'male' : sex === 'F' ? 'female' : undefined,
    ageYears: ageAt(birth, startedAt),
  })
}
