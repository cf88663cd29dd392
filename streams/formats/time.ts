/**
 * Dates of source formats, which rarely say a zone.
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

/** ISO 8601 in UTC (a source without a zone is read as UTC), or undefined for what no calendar has: 31 February, a year 0. */
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

/** A time of `utcTime`, so many milliseconds later. */
export function shifted(time: string, milliseconds: number): string {
  return new Date(Date.parse(time) + milliseconds).toISOString()
}

/** Whole years from one time of `utcTime` to another: a person's age, where a source gives only the date of birth. */
export function yearsBetween(from: string, to: string): number {
  const [birth, day] = [new Date(from), new Date(to)]
  const years = day.getUTCFullYear() - birth.getUTCFullYear()
  return to.slice(4, 10) < from.slice(4, 10) ? years - 1 : years
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/** The month of an English abbreviation, from 1; 0 for none. */
export const monthByName = (name: string): number => MONTHS.indexOf(name.toLowerCase()) + 1
