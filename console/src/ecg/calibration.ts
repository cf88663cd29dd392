/**
 * How many CSS pixels a millimetre of this screen has. CSS says 96 an inch, which few screens keep: a bank card held to the glass tells.
 * @module
 */
import { signal } from '@preact/signals'

/** CSS: 96 px an inch of 25.4 mm. */
const CSS_PX_PER_MM = 96 / 25.4

/** ISO/IEC 7810 ID-1: what a bank card measures across. */
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
