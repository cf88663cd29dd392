/**
 * Cohort file: CSV with a header row and one ECG per row. Columns in any order: `file` (relative to the CSV), any of `cad, cm,
 * pericarditis, hf, ph` (1, 0, or empty where unknown), and optionally `person`, `sex` (male, female) and `age` (years). Separated by
 * commas, semicolons or tabs; cells may be quoted.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { CONDITION_IDS, type ConditionId } from '../../../shared/domain/conditions.ts'
import type { Person } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'

export interface CohortRow {
  /** Absolute path. */
  readonly file: string
  /** Number of the person. Rows that name the same person belong together; a row without a name is a person of its own. */
  readonly person: number
  readonly labels: Readonly<Partial<Record<ConditionId, boolean>>>
  /** Sex and age from the cohort file. */
  readonly about: Person
}

export interface Cohort {
  readonly rows: readonly CohortRow[]
  readonly people: number
  readonly conditions: readonly ConditionId[]
  /** Columns that are not read. */
  readonly ignored: readonly string[]
}

/**
 * Reads a cohort file.
 * @throws CodedError `file-not-found`, and those of `parseCohort`
 */
export async function readCohort(path: string): Promise<Cohort> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: 'cohort' }, { cause })
  })
  return parseCohort(text, dirname(path))
}

/**
 * Parses a cohort.
 * @param folder base of the relative paths
 * @throws CodedError `payload-empty`, `payload-malformed` (columns of a line), `field-invalid` (line and column)
 */
export function parseCohort(text: string, folder: string): Cohort {
  const [header, ...body] = splitCsv(text.replace(/^\uFEFF/, ''))
  if (header === undefined || body.length === 0) throw new CodedError('payload-empty', { field: 'cohort' })
  const names = header.cells.map((name) => name.trim().toLowerCase())
  const conditions = CONDITION_IDS.filter((id) => names.includes(id))
  const known = ['file', 'person', 'sex', 'age', ...CONDITION_IDS]
  for (const column of known) {
    if (names.filter((name) => name === column).length > 1) throw new CodedError('field-invalid', { line: 1, column })
  }
  if (!names.includes('file')) throw new CodedError('field-invalid', { line: 1, column: 'file' })
  if (conditions.length === 0) throw new CodedError('field-invalid', { line: 1, column: CONDITION_IDS.join('|') })

  const people = new Map<string, number>()
  const files = new Set<string>()
  const rows = body.map(({ cells, line }): CohortRow => {
    if (cells.length !== names.length)
      throw new CodedError('payload-malformed', { line, field: 'columns', expected: names.length })
    const cell = (column: string) => cells[names.indexOf(column)]?.trim() ?? ''
    const invalid = (column: string) => new CodedError('field-invalid', { line, column })
    const file = resolve(folder, cell('file'))
    // The same ECG twice would count as two.
    if (cell('file') === '' || files.has(file)) throw invalid('file')
    files.add(file)
    const name = cell('person') === '' ? `line ${line}` : `person ${cell('person')}`
    if (!people.has(name)) people.set(name, people.size)
    return {
      file,
      person: people.get(name)!,
      labels: Object.fromEntries(
        conditions.flatMap((id) => {
          const label = labelOf(cell(id))
          if (label === 'invalid') throw invalid(id)
          return label === undefined ? [] : [[id, label]]
        }),
      ),
      about: { ...sexOf(cell('sex'), invalid), ...ageOf(cell('age'), invalid) },
    }
  })
  return { rows, people: people.size, conditions, ignored: names.filter((name) => !known.includes(name)) }
}

function labelOf(cell: string): boolean | undefined | 'invalid' {
  if (cell === '') return undefined
  const value = Number(cell)
  return value === 1 ? true : value === 0 ? false : 'invalid'
}

function sexOf(cell: string, invalid: (column: string) => CodedError): Person {
  if (cell === '') return {}
  if (/^(f|female)$/i.test(cell)) return { sex: 'female' }
  if (/^(m|male)$/i.test(cell)) return { sex: 'male' }
  throw invalid('sex')
}

function ageOf(cell: string, invalid: (column: string) => CodedError): Person {
  if (cell === '') return {}
  const ageYears = Number(cell)
  if (!(ageYears >= 0 && ageYears <= 120)) throw invalid('age')
  return { ageYears }
}

/** Splits a CSV text into non-empty lines, with quoted cells as in RFC 4180. The delimiter is the most frequent one in the first line. */
function splitCsv(text: string): { line: number; cells: string[] }[] {
  const [first = ''] = text.split(/\r\n|\n|\r/, 1)
  const count = (delimiter: string) => first.split(delimiter).length
  const delimiter = [',', ';', '\t'].sort((a, b) => count(b) - count(a))[0]!
  const token = new RegExp(`(?:"((?:[^"]|"")*)"|([^"\\r\\n${delimiter}]*))(${delimiter}|\\r\\n|\\n|\\r|$)`, 'y')
  const rows: { line: number; cells: string[] }[] = []
  let line = 1
  let cells: string[] = []
  while (token.lastIndex < text.length) {
    const match = token.exec(text)
    if (match === null) throw new CodedError('payload-malformed', { line, field: 'quotes' })
    const [whole, quoted, plain, end] = match
    cells.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end !== delimiter || token.lastIndex === text.length) {
      // A delimiter at the end of the text is followed by an empty cell.
      if (end === delimiter) cells.push('')
      if (cells.some((cell) => cell.trim() !== '')) rows.push({ line, cells })
      cells = []
    }
    line += whole.split(/\r\n|\n|\r/).length - 1
  }
  return rows
}
