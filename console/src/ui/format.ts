/**
 * Numbers with units, and times in the user's time zone, in the selected language.
 * @module
 */
import { language } from '../i18n/index.ts'

/** Caches formatters per kind and language: creating one takes longer than formatting with it a hundred times. */
function kept<Format>(make: (...kind: string[]) => Format): (...kind: string[]) => Format {
  const known = new Map<string, Format>()
  return (...kind) => {
    const key = kind.join()
    const format = known.get(key) ?? make(...kind)
    known.set(key, format)
    return format
  }
}

const numbers = kept((locale, style, digits) => {
  const fraction = { minimumFractionDigits: Number(digits), maximumFractionDigits: Number(digits) }
  return new Intl.NumberFormat(locale, { style: style as 'decimal' | 'percent', ...fraction }) // of the two below
})
const clocks = kept((locale) => new Intl.DateTimeFormat(locale, { timeStyle: 'medium', hourCycle: 'h23' }))
const days = kept((locale) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }))
const agos = kept((locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'short' }))

/** Uses the true minus sign, which is as wide as the plus sign. */
export const number = (value: number, digits = 0) =>
  numbers(language.value, 'decimal', String(digits)).format(value).replace('-', '−')

/** A fraction as a percentage: no decimals from 10% on, one below. */
export const percent = (share: number) => numbers(language.value, 'percent', share < 0.1 ? '1' : '0').format(share)

/** UCUM units in customary notation. */
const UNITS: Readonly<Record<string, string>> = { mm2: 'mm²', '10*-3/mm[Hg]': '10⁻³/mmHg' }

export const unitText = (ucum: string) => UNITS[ucum] ?? ucum

/** Three significant digits, which suits an estimate. */
export function estimate(value: number): string {
  const size = Math.abs(value)
  return number(value, size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

export const clock = (iso: string) => clocks(language.value).format(new Date(iso))

export const day = (iso: string) => days(language.value).format(new Date(iso))

export const moment = (iso: string) => `${day(iso)}, ${clock(iso)}`

/** The same time in UTC, for the tooltip. */
export const utc = (iso: string) => `${new Date(iso).toISOString().replace('T', ' ').slice(0, 19)} UTC`

export function ago(ms: number): string {
  const format = agos(language.value)
  const s = Math.round(ms / 1000)
  if (s < 60) return format.format(-s, 'second')
  if (s < 3600) return format.format(-Math.round(s / 60), 'minute')
  if (s < 86_400) return format.format(-Math.round(s / 3600), 'hour')
  return format.format(-Math.round(s / 86_400), 'day')
}
