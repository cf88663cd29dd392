/**
 * The columns of a CSV file: leads and times.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { findLead } from '../../../shared/domain/leads.ts'
import { findVoltageUnit } from '../units.ts'
import { headingOf, numberOf } from './cells.ts'
import { isShortUnit, type Layout } from './layout.ts'
import { findTimeUnit, isIndexName, isTimeName, secondsOfClock } from './time.ts'

/** A column of samples. */
export interface DataColumn {
  readonly index: number
  readonly label: string
  readonly lead: LeadName | undefined
  /** From the header, from the row below it, or from the line before a file's only column. */
  readonly unit: string | undefined
}

export interface TimeColumn {
  readonly index: number
  /** Seconds per stated unit. */
  readonly unitSeconds: number | undefined
}

/** The columns that may be leads, and the columns of times. */
export function dataColumns(layout: Layout): { channels: DataColumn[]; times: TimeColumn[] } {
  const { header, units, first, facts } = layout
  const channels: DataColumn[] = []
  const times: TimeColumn[] = []
  for (let index = 0; index < Math.max(header.length, first.length); index++) {
    const { name, unit = units[index] || undefined } = headingOf(header[index] ?? '', isShortUnit)
    const cell = first[index] ?? ''
    if (isTimeName(name) || (header.length === 0 && secondsOfClock(cell) !== undefined)) {
      times.push({ index, unitSeconds: findTimeUnit(unit ?? '') })
      continue
    }
    const lead = findLead(name)
    // A column of words, or one that counts samples, is not a channel.
    const isMeasured = numberOf(cell) !== undefined && (name !== '' || cell !== '')
    if (lead === undefined && (isIndexName(name) || !isMeasured)) continue
    channels.push({ index, label: name, lead, unit: unitOf(unit) })
  }
  // A file with one lead may name it in a separate line.
  const [only] = channels.length === 1 ? channels : []
  const stated = facts.get('lead')
  if (only !== undefined && only.lead === undefined && stated !== undefined)
    return { channels: [{ ...only, lead: findLead(stated) }], times }
  return { channels, times }
}

/**
 * Text in brackets after a lead may be a remark: `II (Einthoven)`. A short word, which may be an unknown unit, is kept so that an error can
 * name it.
 */
const unitOf = (unit: string | undefined) =>
  unit !== undefined && (findVoltageUnit(unit) !== undefined || isShortWord(unit)) ? unit : undefined

const isShortWord = (word: string) => word.length <= 5
