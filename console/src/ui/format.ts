/**
 * Numbers with units and times in the reader's zone, in the language that is chosen.
 * @module
 */
import { language } from '../i18n/index.ts'

export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(language.value, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    value,
  )
}

/** A share as per cent: whole above ten, with one digit below. */
export function percent(share: number): string {
  const digits = share < 0.1 ? 1 : 0
  return new Intl.NumberFormat(language.value, {
    style: 'percent',
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(share)
}

/** Three significant digits, as many as an estimate deserves. */
export function estimate(value: number): string {
  const size = Math.abs(value)
  return number(value, size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

export function clock(iso: string): string {
  return new Intl.DateTimeFormat(language.value, { timeStyle: 'medium', hourCycle: 'h23' }).format(new Date(iso))
}

export function day(iso: string): string {
  return new Intl.DateTimeFormat(language.value, { dateStyle: 'medium' }).format(new Date(iso))
}

export const moment = (iso: string) => `${day(iso)}, ${clock(iso)}`

/** For the hover: the same time in UTC. */
export const utc = (iso: string) => `${new Date(iso).toISOString().replace('T', ' ').slice(0, 19)} UTC`

export function ago(ms: number): string {
  const format = new Intl.RelativeTimeFormat(language.value, { numeric: 'always', style: 'short' })
  const s = Math.round(ms / 1000)
  if (s < 60) return format.format(-s, 'second')
  if (s < 3600) return format.format(-Math.round(s / 60), 'minute')
  if (s < 86_400) return format.format(-Math.round(s / 3600), 'hour')
  return format.format(-Math.round(s / 86_400), 'day')
}
