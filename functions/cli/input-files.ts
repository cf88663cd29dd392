/**
 * Input files of a command: paths, folders, `@list` (a file with one path per line) and `-` (paths on standard input).
 * @module
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CodedError } from '../../shared/errors.ts'

export interface InputFile {
  readonly path: string
  /** Found in a folder, not named by the user: skipped when it is not an ECG. */
  readonly isFound: boolean
}

/**
 * Lists every file in order. A path that does not exist is listed too; reading it reports the error.
 * @throws CodedError `file-not-found` for a list that does not exist, `payload-empty` when nothing is named
 */
export async function inputFiles(names: readonly string[], stdin: NodeJS.ReadableStream): Promise<InputFile[]> {
  const files: InputFile[] = []
  for (const name of names) {
    const listed =
      name === '-' ? linesOf(await text(stdin)) : name.startsWith('@') ? await readList(name.slice(1)) : [name]
    for (const path of listed) {
      if (await isFolder(path)) files.push(...(await filesIn(path)).map((found) => ({ path: found, isFound: true })))
      else files.push({ path, isFound: false })
    }
  }
  if (files.length === 0) throw new CodedError('payload-empty', { field: 'files' })
  return files
}

async function readList(path: string): Promise<string[]> {
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: 'list' }, { cause })
  })
  return linesOf(content)
}

const linesOf = (content: string) =>
  content
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '')

const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/** Signal files of a WFDB record, which the header beside them represents. */
const SIGNAL_FILES = ['.dat', '.mat', '.xyz', '.atr']

/** Files of a folder and its subfolders, by name. Hidden files, and files that a header represents, are left out. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = (await readdir(folder, { withFileTypes: true }))
    .filter(({ name }) => !name.startsWith('.'))
    .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
  const names = new Set(entries.map(({ name }) => name))
  const files: string[] = []
  for (const { name } of entries) {
    const path = join(folder, name)
    const header = `${name.slice(0, -extname(name).length)}.hea`
    if (await isFolder(path)) files.push(...(await filesIn(path)))
    else if (!(SIGNAL_FILES.includes(extname(name)) && names.has(header))) files.push(path)
  }
  return files
}
