/**
 * The folder of real recordings beside the project, not part of it (`../shared/data`, or `CARDIACNETS_DATA`).
 * Tests that need it are skipped where it is absent.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { LeadName } from '../../shared/domain/leads.ts'

const root = process.env.CARDIACNETS_DATA ?? resolve(import.meta.dirname, '../../../shared/data')

export const hasData = existsSync(join(root, 'README.md'))

/** For the name of a suite that `describe.skipIf(!hasData)` skips. */
export const NO_DATA = hasData ? '' : ` (skipped: no real recordings in ${root}; set CARDIACNETS_DATA)`

export const dataPath = (...parts: readonly string[]) => join(root, ...parts)

/** Paths of the WFDB headers in a folder, sorted. */
export function headersIn(folder: string): string[] {
  return readdirSync(dataPath(folder))
    .filter((name) => name.endsWith('.hea'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map((name) => dataPath(folder, name))
}

/** The independent leads of the PTB-XL pack. */
const PACKED_LEADS: readonly LeadName[] = ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']
const PACKED_SAMPLES = 1000
const PACKED_RATE_HZ = 100
const PACKED_UV = 5

export interface PackedEcg {
  readonly id: string
  readonly rateHz: number
  /** Twelve leads, the dependent ones calculated; [1000] each, mV. */
  readonly leads: ReadonlyMap<LeadName, Float64Array>
}

/** The first `count` ECGs of a fold of PTB-XL at 100 Hz. Needs `xz` on the path. */
export function* packedEcgs(fold: number, count = Number.POSITIVE_INFINITY): Generator<PackedEcg> {
  const name = `fold${String(fold).padStart(2, '0')}`
  const ids = readFileSync(dataPath('ptbxl100', `${name}_ids.txt`), 'utf8')
    .trim()
    .split(/\s+/)
  const pack = execFileSync('xz', ['-dc', dataPath('ptbxl100', `${name}_8lead_5uV.bin.xz`)], { maxBuffer: 2 ** 28 })
  const values = PACKED_LEADS.length * PACKED_SAMPLES
  for (const [index, id] of ids.slice(0, count).entries()) {
    const row = pack.subarray(index * 2 * values, (index + 1) * 2 * values)
    const leads = new Map<LeadName, Float64Array>()
    for (const [place, lead] of PACKED_LEADS.entries()) {
      const signal = new Float64Array(PACKED_SAMPLES)
      let level = 0
      for (let i = 0; i < PACKED_SAMPLES; i++) {
        const zigzag = row[place * PACKED_SAMPLES + i]! | (row[values + place * PACKED_SAMPLES + i]! << 8)
        level += (zigzag >> 1) ^ -(zigzag & 1)
        signal[i] = (PACKED_UV * level) / 1000
      }
      leads.set(lead, signal)
    }
    const [one, two] = [leads.get('I')!, leads.get('II')!]
    const limb = (a: number, b: number) => one.map((value, i) => a * value + b * two[i]!)
    leads.set('III', limb(-1, 1)).set('aVR', limb(-0.5, -0.5)).set('aVL', limb(1, -0.5)).set('aVF', limb(-0.5, 1))
    yield { id, rateHz: PACKED_RATE_HZ, leads }
  }
}
