/**
 * Times in HL7. Most senders write a hospital's local time without a zone; the site states which zone that is.
 * @module
 */
import { startOfText } from '../formats/time.ts'

const ZONED = /(?:Z|[+-]\d{2}:?\d{2})$/i

/**
 * ISO 8601 in UTC; `undefined` for a date without a time of day.
 * @param zone IANA name, for texts without a zone
 */
export function timeOfText(text: string | undefined, zone = 'UTC'): string | undefined {
  const stated = text?.trim() ?? ''
  const asUtc = startOfText(stated)
  if (asUtc === undefined || zone === 'UTC' || ZONED.test(stated)) return asUtc
  // The zone's offset at that time, and again at the resulting time. Correct except for the hour that occurs twice in an autumn night.
  const wallMs = Date.parse(asUtc)
  const guess = wallMs - offsetMs(zone, wallMs)
  return new Date(wallMs - offsetMs(zone, guess)).toISOString()
}

/** How far a zone's clock is ahead of UTC, ms. */
function offsetMs(zone: string, atMs: number): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  }).formatToParts(atMs)
  const value = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((part) => part.type === type)?.value)
  const wall = Date.UTC(
    value('year'),
    value('month') - 1,
    value('day'),
    value('hour'),
    value('minute'),
    value('second'),
  )
  return wall - Math.floor(atMs / 1000) * 1000
}

/** Whether this machine knows a time zone. */
export function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone })
    return true
  } catch {
    return false
  }
}
