/**
 * Section 1 of an SCP-ECG record: time of the recording and facts about the person; names and identifiers are skipped.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'
import type { ByteReader } from '../byte-reader.ts'
import { ageAt, plausiblePerson, wholeYears } from '../person.ts'
import { utcTime } from '../time.ts'

export interface ScpHeader {
  readonly startedAt: string | undefined
  readonly person: Person | undefined
}

const TAG = { age: 4, birthDate: 5, height: 6, weight: 7, sex: 8, date: 25, time: 26, zone: 34, end: 255 } as const

/** Marks an unknown offset from UTC. */
const NO_ZONE = 0x7fff

/** Factors of the units, by their codes (ISO 11073-91064, 5.4.3). */
const YEARS: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 1 / 12],
  [3, 7 / 365.25],
  [4, 1 / 365.25],
  [5, 1 / 8766],
])
const CENTIMETRES: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 2.54],
  [3, 0.1],
])
const KILOGRAMS: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 0.001],
  [3, 0.45359237],
  [4, 0.028349523],
])

/** @throws CodedError `payload-malformed` naming the tag */
export function readHeader(section: ByteReader): ScpHeader {
  const values = readTags(section)
  const date = values.get(TAG.date)
  const time = values.get(TAG.time)
  const zone = values.get(TAG.zone)?.i16('tag34') ?? NO_ZONE
  const startedAt =
    date === undefined || time === undefined
      ? undefined
      : utcTime(
          {
            ...readDate(date, TAG.date),
            hour: time.u8('tag26'),
            minute: time.u8('tag26'),
            second: time.u8('tag26'),
          },
          zone === NO_ZONE ? 0 : zone,
        )
  const birthDate = values.get(TAG.birthDate)
  const birth = birthDate && utcTime(readDate(birthDate, TAG.birthDate))
  const age = measure(values.get(TAG.age), YEARS)
  const sex = values.get(TAG.sex)?.u8('tag8')
  return {
    startedAt,
    person: plausiblePerson({
      sex: sex === 1 ? 'male' : sex === 2 ? 'female' : undefined,
      ageYears: age === undefined ? ageAt(birth, startedAt) : wholeYears(age),
      heightCm: measure(values.get(TAG.height), CENTIMETRES),
      weightKg: measure(values.get(TAG.weight), KILOGRAMS),
    }),
  }
}

/** The standard has forty tags, few of which occur more than once. */
const MAX_TAGS = 10_000

const KNOWN: ReadonlySet<number> = new Set(Object.values(TAG))

/** The known tags with a value. */
function readTags(section: ByteReader): Map<number, ByteReader> {
  const values = new Map<number, ByteReader>()
  for (let tags = 0; section.remaining > 0; tags++) {
    if (tags === MAX_TAGS) throw section.malformed('tags')
    const tag = section.u8('tag')
    if (tag === TAG.end) break
    const length = section.u16('tag')
    if (length === 0 || !KNOWN.has(tag)) section.skip(length, 'tag')
    else values.set(tag, section.section(length, `tag${tag}`))
  }
  return values
}

function readDate(value: ByteReader, tag: number) {
  const field = `tag${tag}`
  return { year: value.u16(field), month: value.u8(field), day: value.u8(field) }
}

/** A number with its unit; `undefined` when either is absent. */
function measure(value: ByteReader | undefined, units: ReadonlyMap<number, number>): number | undefined {
  if (value === undefined || value.remaining < 3) return undefined
  const count = value.u16('measure')
  const unit = units.get(value.u8('measure'))
  return count === 0 || unit === undefined ? undefined : count * unit
}
