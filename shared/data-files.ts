/**
 * Faults of the files that data is kept in, as coded errors: which file of which folder, and what is wrong with it.
 * @module
 */
import { existsSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { CodedError, type ErrorCode } from './errors.ts'

/** https://www.sqlite.org/rescode.html, without the extended part. */
const SQLITE_CODES = new Map<number, ErrorCode>([
  [5, 'data-in-use'], // BUSY
  [6, 'data-in-use'], // LOCKED
  [8, 'data-unwritable'], // READONLY
  [10, 'data-unwritable'], // IOERR
  [11, 'data-corrupt'], // CORRUPT
  [13, 'disk-full'], // FULL
  [14, 'data-unwritable'], // CANTOPEN
  [26, 'data-corrupt'], // NOTADB
])

/** https://man7.org/linux/man-pages/man3/errno.3.html */
const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk-full',
  EDQUOT: 'disk-full',
  EACCES: 'data-unwritable',
  EPERM: 'data-unwritable',
  EROFS: 'data-unwritable',
  EIO: 'data-unwritable',
  EEXIST: 'data-unwritable',
  ENOTDIR: 'data-unwritable',
  EISDIR: 'data-unwritable',
}

/** Where a file lies, as the details of an error name it. */
export const placeOf = (path: string) => ({ file: basename(path), folder: dirname(path) })

/** What an error of `node:fs` or `node:sqlite` means for the file at `path`; `undefined` when it is no fault of a file. */
export function fileFault(path: string, error: unknown): CodedError | undefined {
  if (error instanceof CodedError) return error
  const { code, errcode } = (error ?? {}) as { code?: string; errcode?: number } // as node:fs and node:sqlite throw
  const fault = errcode === undefined ? SYSTEM_CODES[code ?? ''] : SQLITE_CODES.get(errcode & 0xff)
  return fault && new CodedError(fault, placeOf(path), { cause: error })
}

/** A version of a data file that is later than this program's. */
export const newerFile = (path: string) => new CodedError('data-newer', placeOf(path))

/** An SQLite file with tables that are not ours. */
export const foreignFile = (path: string) => new CodedError('data-foreign', placeOf(path))

/**
 * Whether a data file is there and holds nothing: SQLite takes it for a new one without a word. A process that was killed in the moment in which it made
 * the file leaves it so, too.
 */
export const isEmptied = (path: string): boolean => existsSync(path) && statSync(path).size === 0

/** What is said of a file that `isEmptied`. */
export const emptiedFile = (path: string): string =>
  `${path} is empty: what it held is lost, unless there is a copy. It is begun anew.`
