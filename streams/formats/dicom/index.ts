/**
 * DICOM 12-lead and General ECG waveforms (PS3.3 A.34.3, A.34.4), in explicit, implicit and deflated little-endian.
 * @module
 */
import { checkRecording, type Person, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { ageAt, plausiblePerson, wholeYears } from '../person.ts'
import { shifted, utcTime } from '../time.ts'
import { type Dataset, looksLikeDicom, readDicom, type TagName } from './dataset.ts'
import { chooseGroups, groupReader } from './waveform.ts'

export const dicom: Format = {
  name: 'dicom',
  detects: looksLikeDicom,
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * @throws CodedError `payload-malformed`, `payload-too-large`, `format-unsupported`, `lead-unknown`, `unit-unknown`, `gain-invalid`,
 *   `rate-unsupported`, `field-invalid`, and those of `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  const dataset = readDicom(bytes)
  const groups = chooseGroups(dataset, options)
  const channels = groups.flatMap((group) => {
    const read = groupReader(group, options, warnings)
    return group.channels.map((channel) => ({ ...channel, read }))
  })
  const leads = leadsAmong(channels, (channel) => channel, options, 'channelSource', warnings)
  const { rateHz, offsetMs } = groups[0]!
  const startedAt = startOf(dataset)
  return checkRecording({
    format: 'dicom',
    rateHz,
    leads: readableLeads(leads, ({ name, channel }) => channel.read(name, channel), warnings),
    startedAt: startedAt === undefined ? undefined : shifted(startedAt, offsetMs),
    person: personOf(dataset, startedAt),
    ...said(warnings),
  })
}

/** Start of the acquisition, ISO 8601 in UTC; a time without a zone is read as UTC. */
function startOf(dataset: Dataset): string | undefined {
  const joined = (date: TagName, time: TagName) => {
    const [day, clock] = [dataset.text(date), dataset.text(time)]
    return day === undefined || clock === undefined ? undefined : day + clock
  }
  const text =
    dataset.text('acquisitionDateTime') ??
    joined('acquisitionDate', 'acquisitionTime') ??
    joined('contentDate', 'contentTime')
  return text === undefined ? undefined : timeOf(text, dataset.text('timezoneOffset'))
}

// VR DT: YYYYMMDDHHMMSS.FFFFFF&ZZXX; every part from the minutes on may be absent.
const DATE_TIME =
  /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})(?<hour>\d{2})(?<minute>\d{2})?(?<second>\d{2})?(?:\.(?<fraction>\d{1,6}))?(?<zone>[+-]\d{4})?$/

function timeOf(text: string, zone: string | undefined): string | undefined {
  const parts = DATE_TIME.exec(text)?.groups
  if (parts === undefined) return undefined
  return utcTime(
    {
      year: Number(parts.year),
      month: Number(parts.month),
      day: Number(parts.day),
      hour: Number(parts.hour),
      minute: Number(parts.minute ?? 0),
      second: Number(parts.second ?? 0),
      millisecond: Number((parts.fraction ?? '').padEnd(3, '0').slice(0, 3)),
    },
    zoneMinutes(parts.zone ?? zone),
  )
}

function zoneMinutes(zone = '+0000'): number {
  const parts = /^([+-])(\d{2})(\d{2})$/.exec(zone)
  return parts === null ? 0 : Number(`${parts[1]}1`) * (Number(parts[2]) * 60 + Number(parts[3]))
}

const SEXES = { M: 'male', F: 'female' } as const

function personOf(dataset: Dataset, startedAt: string | undefined): Person | undefined {
  const sex = dataset.text('patientSex')
  const heightM = number(dataset.text('patientSize'))
  return plausiblePerson({
    sex: sex === 'M' || sex === 'F' ? SEXES[sex] : undefined,
    ageYears:
      statedAge(dataset.text('patientAge')) ??
      ageAt(timeOf(`${dataset.text('patientBirthDate') ?? ''}00`, undefined), startedAt),
    heightCm: heightM === undefined ? undefined : heightM * 100,
    weightKg: number(dataset.text('patientWeight')),
  })
}

const YEARS = { Y: 1, M: 1 / 12, W: 7 / 365.25, D: 1 / 365.25 } as const

/** VR AS: `042Y`, `018M`. */
function statedAge(text = ''): number | undefined {
  const parts = /^(?<count>\d{3})(?<unit>[YMWD])$/.exec(text)?.groups
  if (parts === undefined) return undefined
  // as: the pattern allows no other letter
  return wholeYears(Number(parts.count) * YEARS[parts.unit as keyof typeof YEARS])
}

/** A value that is not a number is unknown and not an error, because the ECG does not depend on it. */
function number(text: string | undefined): number | undefined {
  const value = Number.parseFloat(text ?? '')
  return Number.isNaN(value) ? undefined : value
}
