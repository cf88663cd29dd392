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
const days = kept((locale) => new Intl.DateTimeFormat(locale, { dateStyle: 'medium' }))
const agos = kept((locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'short' }))

/** Caches texts, of which there are few: formatting takes a tenth of a scroll's time. */
function texts(make: (value: number, ...kind: string[]) => string): (value: number, ...kind: string[]) => string {
  const known = new Map<string, string>()
  return (value, ...kind) => {
    const key = `${value} ${kind.join()}`
    let text = known.get(key)
    if (text === undefined) {
      if (known.size >= MOST_TEXTS) known.clear()
      text = make(value, ...kind)
      known.set(key, text)
    }
    return text
  }
}

const MOST_TEXTS = 1000

const wholes = texts((value, locale = '') => numbers(locale, 'decimal', '0').format(value).replace('-', '−'))
const shares = texts((perMille, locale = '', digits = '') => numbers(locale, 'percent', digits).format(perMille / 1000))
const dates = texts((day, locale = '') => days(locale).format(day))

/** Uses the true minus sign, which is as wide as the plus sign. */
export const number = (value: number, digits = 0) =>
  digits === 0
    ? wholes(Math.round(value), language.value)
    : numbers(language.value, 'decimal', String(digits)).format(value).replace('-', '−')

/** A fraction as a percentage: no decimals from 10% on, one below. */
export const percent = (share: number) =>
  share < 0.1
    ? shares(Math.round(1000 * share), language.value, '1')
    : shares(10 * Math.round(100 * share), language.value, '0')

/** UCUM units in customary notation. */
const UNITS: Readonly<Record<string, string>> = { mm2: 'mm²', '10*-3/mm[Hg]': '10⁻³/mmHg' }

export const unitText = (ucum: string) => UNITS[ucum] ?? ucum

/** Three significant digits, which suits an estimate. */
export const estimate = (value: number): string => number(value, digitsOf(value))

/** Both ends of a range with as many digits as the greater one has, for example 94 – 213. */
export function range(low: number, high: number): string {
  const digits = Math.min(digitsOf(low), digitsOf(high))
  return `${number(low, digits)} – ${number(high, digits)}`
}

function digitsOf(value: number): number {
  const size = Math.abs(value)
  return size >= 100 ? 0 : size >= 10 ? 1 : 2
}

/** Hours, minutes and seconds of 24 hours, the same in all languages. */
export const clock = (iso: string) => new Date(iso).toTimeString().slice(0, 8)

export const day = (iso: string) => dates(new Date(iso).setHours(0, 0, 0, 0), language.value)

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
