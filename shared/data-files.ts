/**
 * Faults of data files as coded errors that name the file, the folder and the fault.
 * @module
 */
import { existsSync, statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { CodedError, type ErrorCode } from './errors.ts'

/** Result codes without the extended part, https://www.sqlite.org/rescode.html */
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

/** A file's name and folder, for the details of an error. */
export const placeOf = (path: string) => ({ file: basename(path), folder: dirname(path) })

/**
 * The coded error for an error of `node:fs` or `node:sqlite` on the file at `path`; `undefined` when the error is not a fault of the file.
 */
export function fileFault(path: string, error: unknown): CodedError | undefined {
  if (error instanceof CodedError) return error
  const { code, errcode } = (error ?? {}) as { code?: string; errcode?: number } // as node:fs and node:sqlite throw
  const fault = errcode === undefined ? SYSTEM_CODES[code ?? ''] : SQLITE_CODES.get(errcode & 0xff)
  return fault && new CodedError(fault, placeOf(path), { cause: error })
}

/** The data file was written by a later version of this program. */
export const newerFile = (path: string) => new CodedError('data-newer', placeOf(path))

/** The SQLite file has tables that are not ours. */
export const foreignFile = (path: string) => new CodedError('data-foreign', placeOf(path))

/**
 * Whether a data file exists but is empty. SQLite would silently treat it as a new file. A process that was killed while it created the
 * file leaves the same state.
 */
export const isEmptied = (path: string): boolean => existsSync(path) && statSync(path).size === 0

/** Message for a file that `isEmptied`. */
export const emptiedFile = (path: string): string =>
  `${path} is empty: what it held is lost, unless there is a copy. It is begun anew.`
