/**
 * CSS pixels per millimetre of this screen. CSS assumes 96 px per inch, which is wrong on most screens; the user calibrates with a bank
 * card.
 * @module
 */
import { signal } from '@preact/signals'

/** CSS: 96 px per inch of 25.4 mm. */
const CSS_PX_PER_MM = 96 / 25.4

/** Width of a bank card, mm (ISO/IEC 7810 ID-1). */
export const CARD_MM = 85.6

const KEY = 'cardiacnets.px-per-mm'
const RANGE = { min: 1.5, max: 12 }

function kept(): number | undefined {
  const value = Number(localStorage.getItem(KEY))
  return value >= RANGE.min && value <= RANGE.max ? value : undefined
}

export const pxPerMm = signal(kept() ?? CSS_PX_PER_MM)
export const isCalibrated = signal(kept() !== undefined)

export function calibrate(value: number): void {
  const bounded = Math.min(RANGE.max, Math.max(RANGE.min, value))
  localStorage.setItem(KEY, String(bounded))
  pxPerMm.value = bounded
  isCalibrated.value = true
}

export function forgetCalibration(): void {
  localStorage.removeItem(KEY)
  pxPerMm.value = CSS_PX_PER_MM
  isCalibrated.value = false
}
