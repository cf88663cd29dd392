/**
 * One table of the names of voltage units for all formats.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'

export const VOLTAGE_UNITS = ['mV', 'uV', 'V', 'nV'] as const

export type VoltageUnit = (typeof VOLTAGE_UNITS)[number]

const MICROVOLTS: Readonly<Record<VoltageUnit, number>> = { mV: 1e3, uV: 1, V: 1e6, nV: 1e-3 }

/** Names in lower case without blanks: as written, in words, and as in UCUM, LOINC and charsets. */
const NAMES: ReadonlyMap<string, VoltageUnit> = new Map<string, VoltageUnit>([
  ...(['mv', 'millivolt', 'millivolts', 'mvolt', 'mvolts'] as const).map((name) => [name, 'mV'] as const),
  ...(['uv', 'mcv', 'microvolt', 'microvolts', 'uvolt', 'uvolts'] as const).map((name) => [name, 'uV'] as const),
  ...(['v', 'volt', 'volts'] as const).map((name) => [name, 'V'] as const),
  ...(['nv', 'nanovolt', 'nanovolts', 'nvolt', 'nvolts'] as const).map((name) => [name, 'nV'] as const),
])

/** Longest name of a unit, characters. */
const MAX_NAME = 40

/** The unit that a source means (`mV`, `µV`, `microvolts`, `[uV]`, in any case); `undefined` for any other text. */
export function findVoltageUnit(text: string): VoltageUnit | undefined {
  if (text.length > MAX_NAME) return undefined
  // Handles both micro signs in UTF-8 that was read as Latin-1, then NFKC, which unifies the two; `æ` is µ in the DOS charset.
  const name = text
    .replace(/\u00c2\u00b5|\u00ce\u00bc/, 'u')
    .normalize('NFKC')
    .replace(/[\s\0()[\]{}"']/g, '')
    .replace(/^[\u03bc\u00e6]/, 'u')
    .toLowerCase()
  return NAMES.get(name)
}

/**
 * Microvolts per voltage unit, as sources write it.
 * @throws CodedError `unit-unknown` naming `field`
 */
export function microvolts(unit: string, field: string): number {
  const found = findVoltageUnit(unit)
  if (found === undefined) throw new CodedError('unit-unknown', { field })
  return MICROVOLTS[found]
}
