/**
 * ISHNE Holter standard output, after Badilini 1998, Ann. Noninvasive Electrocardiol. 3(3):263. Longer than the longest recording it is
 * refused, as every format is: a Holter of a day is no input for ten-second screening.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, RATE_RANGE_HZ, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'
import { crcCcitt } from '../crc.ts'
import type { Format } from '../format.ts'
import { plausiblePerson } from '../person.ts'
import { utcTime, yearsBetween } from '../time.ts'

const MAGIC = 'ISHNE1.0'

export const ishne: Format = {
  name: 'ishne',
  detects: (bytes) => latin1(bytes.subarray(0, MAGIC.length)) === MAGIC,
  parse: (main) => parse(main.bytes),
}

/** The checksum covers the header from here. */
const CHECKED_FROM = 10
const FIXED_HEADER_BYTES = 512
const MAX_LEADS = 12

/** Lead specification: 1 to 4 are bipolar and Frank leads, from 17 on EASI's. */
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

/** @throws CodedError `payload-malformed`, `payload-too-large`, `lead-unknown`, `rate-unsupported`, and those of `checkRecording` */
export function parse(bytes: Uint8Array): Recording {
  const reader = new ByteReader(bytes)
  const { samples, ecgOffset, ...header } = readHeader(reader)
  if (!(header.rateHz >= RATE_RANGE_HZ.min))
    throw new CodedError('rate-unsupported', { field: 'rate', ...RATE_RANGE_HZ })
  if (samples < 0) throw new CodedError('payload-malformed', { field: 'samples' })
  checkDuration(samples, header.rateHz, 'samples')
  reader.seek(ecgOffset, 'ecgOffset')
  const body = reader.section(samples * header.leadCount * 2, 'samples')
  const all = Array.from({ length: header.leadCount }, () => new Int32Array(samples))
  for (let i = 0; i < samples; i++) for (const lead of all) lead[i] = body.i16('samples')
  const leads = all.flatMap((lead, place) => {
    const name = LEADS.get(header.specifications[place]!)
    const gainUv = header.nanovolts[place]! / NANOVOLTS_PER_MICROVOLT
    return name === undefined ? [] : [{ name, gainUv, samples: lead }]
  })
  if (leads.length === 0) throw new CodedError('lead-unknown', { field: 'leadSpecification' })
  return checkRecording({
    format: 'ishne',
    rateHz: header.rateHz,
    leads,
    startedAt: header.startedAt,
    person: plausiblePerson({
      sex: header.sex === 1 ? 'male' : header.sex === 2 ? 'female' : undefined,
      ageYears:
        header.birth === undefined || header.startedAt === undefined
          ? undefined
          : yearsBetween(header.birth, header.startedAt),
    }),
  })
}

function readHeader(reader: ByteReader) {
  if (reader.text(MAGIC.length, 'magic') !== MAGIC) throw reader.malformed('magic')
  const checksum = reader.u16('checksum')
  const variableBytes = reader.i32('variableBlock')
  reader.seek(CHECKED_FROM, 'header')
  if (crcCcitt(reader.bytes(FIXED_HEADER_BYTES + variableBytes, 'header')) !== checksum)
    throw reader.malformed('checksum')
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
