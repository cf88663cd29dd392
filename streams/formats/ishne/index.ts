/**
 * ISHNE Holter standard output, after Badilini 1998, Ann. Noninvasive Electrocardiol. 3(3):263. As in every format, a recording above the
 * maximum length is refused: a Holter of a day is not an input for ten-second screening.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, RATE_RANGE_HZ, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'
import { leadsAmong, readableLeads, said, warnUnused } from '../channels.ts'
import { crcCcitt } from '../crc.ts'
import type { Format, ReadOptions } from '../format.ts'
import { ageAt, plausiblePerson } from '../person.ts'
import { utcTime } from '../time.ts'

const MAGIC = 'ISHNE1.0'

export const ishne: Format = {
  name: 'ishne',
  detects: (bytes) => latin1(bytes.subarray(0, MAGIC.length)) === MAGIC,
  parse: (main, _others, options) => parse(main.bytes, options),
}

/** Offset from which the checksum covers the header. */
const CHECKED_FROM = 10
const FIXED_HEADER_BYTES = 512
const MAX_LEADS = 12

/** Lead specification codes. 1 to 4 are bipolar and Frank leads, 17 and above are EASI leads. */
const LEADS: ReadonlyMap<number, LeadName> = new Map([
  [5, 'I'],
  [6, 'II'],
  [7, 'III'],
  [8, 'aVR'],
  [9, 'aVL'],
  [10, 'aVF'],
  [11, 'V1'],
  [12, 'V2'],
  [13, 'V3'],
  [14, 'V4'],
  [15, 'V5'],
  [16, 'V6'],
])

const NANOVOLTS_PER_MICROVOLT = 1000

/**
 * Parses a file. The checksum covers only the header, and is often not corrected when a name is removed, so a mismatch is only a warning.
 * @throws CodedError `payload-malformed`, `payload-too-large`, `lead-unknown`, `rate-unsupported`, and those of `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit'], warnings)
  const reader = new ByteReader(bytes)
  const { samples: stated, ecgOffset, ...header } = readHeader(reader, warnings)
  const rateHz = options.rateHz ?? header.rateHz
  if (!(rateHz >= RATE_RANGE_HZ.min)) throw new CodedError('rate-unsupported', { field: 'rate', ...RATE_RANGE_HZ })
  reader.seek(ecgOffset, 'ecgOffset')
  // When the count is absent or larger than the data, the end of the file decides.
  const there = Math.floor(reader.remaining / (header.leadCount * 2))
  const samples = stated > 0 ? Math.min(stated, there) : there
  if (samples < stated) warnings.push({ code: 'samples-left-out', field: `sample ${samples}` })
  checkDuration(samples, rateHz, 'samples')
  const body = reader.section(samples * header.leadCount * 2, 'samples')
  const all = Array.from({ length: header.leadCount }, () => new Int32Array(samples))
  for (let i = 0; i < samples; i++) for (const lead of all) lead[i] = body.i16('samples')
  const channels = all.map((samples, place) => ({ samples, specification: header.specifications[place]!, place }))
  const leads = leadsAmong(
    channels,
    ({ specification }) => ({ lead: LEADS.get(specification), label: '' }),
    options,
    'leadSpecification',
    warnings,
  )
  return checkRecording({
    format: 'ishne',
    rateHz,
    leads: readableLeads(
      leads,
      ({ name, channel: { samples, place } }) => {
        const gainUv = header.nanovolts[place]! / NANOVOLTS_PER_MICROVOLT
        if (!(gainUv > 0)) throw new CodedError('gain-invalid', { field: 'resolution' })
        return { name, gainUv, samples }
      },
      warnings,
    ),
    startedAt: header.startedAt,
    person: plausiblePerson({
      sex: header.sex === 1 ? 'male' : header.sex === 2 ? 'female' : undefined,
      ageYears: ageAt(header.birth, header.startedAt),
    }),
    ...said(warnings),
  })
}

function readHeader(reader: ByteReader, warnings: ResultWarning[]) {
  if (reader.text(MAGIC.length, 'magic') !== MAGIC) throw reader.malformed('magic')
  const checksum = reader.u16('checksum')
  const variableBytes = reader.i32('variableBlock')
  reader.seek(CHECKED_FROM, 'header')
  if (crcCcitt(reader.bytes(FIXED_HEADER_BYTES + variableBytes, 'header')) !== checksum)
    warnings.push({ code: 'checksum-mismatch', field: 'header' })
  reader.seek(CHECKED_FROM + 4, 'header')
  const samples = reader.i32('samples')
  reader.skip(4, 'variableOffset')
  const ecgOffset = reader.i32('ecgOffset')
  // Version, first and last name, id.
  reader.skip(2 + 40 + 40 + 20, 'identity')
  const sex = reader.u16('sex')
  reader.skip(2, 'race')
  const shorts = (count: number, field: string) => Array.from({ length: count }, () => reader.i16(field))
  const birth = shorts(3, 'birthDate')
  const date = shorts(3, 'date')
  reader.skip(3 * 2, 'fileDate')
  const time = shorts(3, 'time')
  const leadCount = reader.i16('leads')
  if (!(leadCount >= 1 && leadCount <= MAX_LEADS)) throw reader.malformed('leads')
  const specifications = shorts(MAX_LEADS, 'leadSpecification')
  reader.skip(MAX_LEADS * 2, 'leadQuality')
  const nanovolts = shorts(MAX_LEADS, 'resolution')
  // Pacemaker code, recorder.
  reader.skip(2 + 40, 'recorder')
  return {
    samples,
    ecgOffset,
    sex,
    birth: calendarTime(birth, [0, 0, 0]),
    startedAt: calendarTime(date, time),
    leadCount,
    specifications,
    nanovolts,
    rateHz: reader.u16('rate'),
  }
}

function calendarTime(
  [day = 0, month = 0, year = 0]: readonly number[],
  [hour = 0, minute = 0, second = 0]: readonly number[],
) {
  return utcTime({ year, month, day, hour, minute, second })
}
