/**
 * Dates of source formats, which rarely state a time zone.
 * @module
 */

/** A point in time as sources write it: month and day from 1. */
export interface CalendarTime {
  readonly year: number
  readonly month: number
  readonly day: number
  readonly hour?: number
  readonly minute?: number
  readonly second?: number
  readonly millisecond?: number
}

/** ISO 8601 in UTC (a source without a zone is read as UTC); `undefined` for an impossible date: 31 February, a year 0. */
export function utcTime(time: CalendarTime, zoneMinutes = 0): string | undefined {
  const { year, month, day, hour = 0, minute = 0, second = 0, millisecond = 0 } = time
  if (!(year >= 1900 && year <= 9998)) return undefined
  const at = new Date(Date.UTC(year, month - 1, day, hour, minute, second, millisecond))
  const isReal =
    at.getUTCFullYear() === year &&
    at.getUTCMonth() === month - 1 &&
    at.getUTCDate() === day &&
    at.getUTCHours() === hour &&
    at.getUTCMinutes() === minute &&
    at.getUTCSeconds() === second
  return isReal && Math.abs(zoneMinutes) <= 24 * 60 ? shifted(at.toISOString(), -zoneMinutes * 60_000) : undefined
}

/** Adds milliseconds to a time of `utcTime`. */
export function shifted(time: string, milliseconds: number): string {
  return new Date(Date.parse(time) + milliseconds).toISOString()
}

/** Whole years between two times of `utcTime`: a person's age, when a source only states the date of birth. */
export function yearsBetween(from: string, to: string): number {
  const [birth, day] = [new Date(from), new Date(to)]
  const years = day.getUTCFullYear() - birth.getUTCFullYear()
  return to.slice(4, 10) < from.slice(4, 10) ? years - 1 : years
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** The month of an English abbreviation, from 1; 0 for any other text. */
export const monthByName = (name: string): number => MONTHS.indexOf(name.toLowerCase()) + 1

// `2002-11-22` or `20021122`; then `T` or blanks and `09:10:00.5`, `091000.5` or `0910`; then `Z`, `+01:00` or `-0500`.
const DATE_TIME =
  /^(?<year>\d{4})(?<dash>-?)(?<month>\d{2})\k<dash>(?<day>\d{2})(?:[T\s]*(?<hour>\d{2}):?(?<minute>\d{2})(?::?(?<second>\d{2})(?:[.,](?<fraction>\d+))?)?)?\s*(?<zone>Z|[+-]\d{2}:?\d{2})?$/i

/** `utcTime` of a date and time in ISO 8601 or HL7 (TS) notation; `undefined` for a date alone, because a start needs a time of day. */
export function startOfText(text: string | undefined): string | undefined {
  const { hour, minute, second, fraction, zone, ...date } = DATE_TIME.exec(text?.trim() ?? '')?.groups ?? {}
  if (hour === undefined) return undefined
  const clock = { hour: Number(hour), minute: Number(minute), second: Number(second ?? 0) }
  const millisecond = Math.floor(Number(`0.${fraction ?? 0}`) * 1000)
  return utcTime({ ...dateOf(date), ...clock, millisecond }, zone === undefined ? 0 : zoneMinutes(zone))
}

/** `utcTime` of the date at the start of such a text. */
export function dateOfText(text: string | undefined): string | undefined {
  const { year, month, day } = DATE_TIME.exec(text?.trim() ?? '')?.groups ?? {}
  return utcTime(dateOf({ year, month, day }))
}

const dateOf = ({ year, month, day }: Readonly<Record<string, string | undefined>>) => ({
  year: Number(year),
  month: Number(month),
  day: Number(day),
})

function zoneMinutes(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2))
  return zone.startsWith('-') ? -minutes : minutes
}
