/**
 * Reads recordings of every source format. The format is detected by content; a file name only helps to find the other files of a
 * recording.
 * @module
 */
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { Recording } from '../../shared/domain/recording.ts'
import { CodedError } from '../../shared/errors.ts'
import { aecg } from './aecg/index.ts'
import { contec } from './contec/index.ts'
import { csv } from './csv/index.ts'
import { dicom } from './dicom/index.ts'
import { edf } from './edf/index.ts'
import { createFhirFormat } from './fhir/index.ts'
import { type Format, MAX_FILE_BYTES, type ReadOptions, type SourceFile } from './format.ts'
import { ishne } from './ishne/index.ts'
import { json } from './json/index.ts'
import { mfer } from './mfer/index.ts'
import { muse } from './muse/index.ts'
import { plausiblePerson, withPerson } from './person.ts'
import { scp } from './scp/index.ts'
import { sierra } from './sierra/index.ts'
import { wfdb } from './wfdb/index.ts'

export type { ReadOptions, SourceFile } from './format.ts'

/** A FHIR resource may contain a file of any format, including FHIR. */
const fhir = createFhirFormat((files, options) => parseRecording(files, options))

/** Most specific first, because any JSON object could be `json` and nearly any text `csv`. */
const FORMATS: readonly Format[] = [dicom, edf, contec, ishne, scp, mfer, aecg, muse, sierra, wfdb, fhir, json, csv]

/** Values of the option `format`. */
export const FORMAT_NAMES: readonly string[] = FORMATS.map(({ name }) => name)

/**
 * Reads the recording in one or several files (a WFDB header and its signal files), in any order.
 * @throws CodedError `format-unknown`, `payload-empty`, `payload-too-large`, and those of the format
 */
export function parseRecording(files: readonly SourceFile[], options: ReadOptions = {}): Recording {
  for (const { bytes } of files) checkSize(bytes.length)
  const { format, main } = findMain(files, options.format) ?? assumeMain(files[0], options.format)
  const others = files.filter((file) => file !== main)
  return withPerson(format.parse(main, others, options), personOf(options))
}

/**
 * Reads the recording that a file belongs to: for WFDB, the header or any signal file. Only files in the same folder are read.
 * @throws CodedError those of `parseRecording`, and `file-not-found`
 * @example
 * const recording = await readRecording('records100/00001_lr.hea')
 */
export async function readRecording(path: string, options: ReadOptions = {}): Promise<Recording> {
  const file = await readSource(path)
  const { format, main } = findMain([file], options.format) ?? (await readMainBeside(path, file, options.format))
  const companions = format.companions?.(main.bytes, options) ?? []
  const others = await Promise.all(
    companions.map(async (name) => (name === file.name ? file : await readSource(join(dirname(path), name)))),
  )
  return withPerson(format.parse(main, others, options), personOf(options))
}

const personOf = ({ sex, ageYears }: ReadOptions) => plausiblePerson({ sex, ageYears })

/** Names of the other files that a recording needs, if this is its main file. */
export function companionsOf({ name, bytes }: SourceFile): readonly string[] {
  const format = FORMATS.find((each) => each.detects(bytes))
  return (format?.companions?.(bytes, {}) ?? []).filter((each) => each !== name)
}

interface Found {
  readonly format: Format
  readonly main: SourceFile
}

function findMain(files: readonly SourceFile[], name: string | undefined): Found | undefined {
  for (const format of candidates(name)) {
    const main = files.find(({ bytes }) => format.detects(bytes))
    if (main !== undefined) return { format, main }
  }
  return undefined
}

/** Reads the main file beside a file that is not one: same name, with the format's extension. */
async function readMainBeside(path: string, file: SourceFile, name: string | undefined): Promise<Found> {
  for (const { mainExtension } of candidates(name)) {
    if (mainExtension === undefined) continue
    const sibling = join(dirname(path), basename(path, extname(path)) + mainExtension)
    const main = await readSource(sibling).catch((error: unknown) => {
      if (error instanceof CodedError && error.code === 'file-not-found') return undefined
      throw error
    })
    const found = main && findMain([main], name)
    if (found !== undefined) return found
  }
  return assumeMain(file, name)
}

/** A format that was requested by name reports itself what is wrong with an unrecognised file. */
function assumeMain(file: SourceFile | undefined, name: string | undefined): Found {
  const [format] = candidates(name)
  if (file === undefined || format === undefined || name === undefined) {
    if (file !== undefined && HDF5.every((byte, i) => file.bytes[i] === byte))
      throw new CodedError('format-unsupported', { field: 'file', format: 'hdf5' })
    throw new CodedError('format-unknown', { field: 'file' })
  }
  return { format, main: file }
}

/** Recognised but not supported, because every data set defines the meaning of its HDF5 files differently. */
const HDF5 = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]

function candidates(name: string | undefined): readonly Format[] {
  if (name === undefined) return FORMATS
  const format = FORMATS.find((each) => each.name === name)
  if (format === undefined) throw new CodedError('format-unsupported', { field: 'format' })
  return [format]
}

async function readSource(path: string): Promise<SourceFile> {
  try {
    const { size } = await stat(path)
    checkSize(size)
    return { name: basename(path), bytes: await readFile(path) }
  } catch (error) {
    if (error instanceof CodedError) throw error
    throw new CodedError('file-not-found', { field: 'file' }, { cause: error })
  }
}

function checkSize(bytes: number): void {
  if (bytes === 0) throw new CodedError('payload-empty', { field: 'file' })
  if (bytes > MAX_FILE_BYTES) throw new CodedError('payload-too-large', { field: 'file', maxBytes: MAX_FILE_BYTES })
}
