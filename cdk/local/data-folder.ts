/**
 * The data folder of the local stack: held by one stack at a time, with logs that are appended to and rotated.
 * @module
 */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { REFERENCE_FILE } from '../../shared/inference/population.ts'
import { SITE_FILE } from '../../shared/inference/site-calibration.ts'

/** A fault of a data folder and its remedy, as a sentence for the terminal. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError'
}

/**
 * Names in a data folder: of a stack, of a gateway beside it, and the choice of `models use`. A folder with only other names is not ours.
 */
const OURS = [
  'lock.db',
  'queues',
  'objects',
  'tables',
  'journal.db',
  'stack.log',
  'audit.jsonl',
  'outputs.json',
  'site.json',
  'cdk.out',
  'gateway',
  'gateway.json',
  'model-bundle',
  SITE_FILE,
  REFERENCE_FILE,
]

/** A larger log is moved to `NAME.1` and replaces the previous one. */
const ROTATE_BYTES = 20 * 1024 * 1024

/** Keeps references to locks: an unreferenced one is garbage-collected and thereby released. */
const held = new Set<DatabaseSync>()

/**
 * Creates the folder if needed, and holds it until the process ends in any way, because the system releases an SQLite lock.
 * @returns a function that releases it earlier
 * @throws DataFolderError when another stack holds the folder, it cannot be written, or it contains other data
 */
export function claimFolder(folder: string): () => void {
  try {
    mkdirSync(folder, { recursive: true })
    const names = readdirSync(folder)
    if (names.length > 0 && !names.some((name) => OURS.includes(name))) throw new DataFolderError(foreign(folder))
    const lock = new DatabaseSync(join(folder, 'lock.db'), { timeout: 0 })
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    held.add(lock)
    return () => {
      held.delete(lock)
      lock.close()
    }
  } catch (error) {
    throw error instanceof DataFolderError ? error : new DataFolderError(sentence(folder, error))
  }
}

const foreign = (folder: string) =>
  `${folder} holds other files and none of ours: pass --data with a folder that is empty, or a new one.`

function sentence(folder: string, error: unknown): string {
  const { code, errcode } = error as { code?: string; errcode?: number } // as node:fs and node:sqlite throw
  const isLocked = errcode === SQLITE_BUSY
  if (isLocked) return `${folder} is in use by another stack: stop that one, or pass --data with another folder.`
  if (errcode === SQLITE_NOT_A_DATABASE) return `${join(folder, 'lock.db')} is not ours: remove it, or pass --data.`
  const isForbidden = code === 'EACCES' || code === 'EROFS' || code === 'EPERM' || errcode === SQLITE_CANTOPEN
  if (isForbidden || errcode === SQLITE_READONLY) {
    return `${folder} cannot be written: change its owner or rights, or pass --data with another folder.`
  }
  if (code === 'EEXIST' || code === 'ENOTDIR') return `${folder} is not a folder: pass --data with another one.`
  return `${folder} cannot be used: ${whatFailed(error)}`
}

/** https://www.sqlite.org/rescode.html */
const [SQLITE_BUSY, SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_NOT_A_DATABASE] = [5, 8, 14, 26]

/** Why a write failed, in words. */
export function whatFailed(error: unknown): string {
  const { code, errcode } = error as { code?: string; errcode?: number } // as node:fs and node:sqlite throw
  if (code === 'ENOSPC' || errcode === 13) return 'the disk is full'
  if (code === 'EROFS' || errcode === SQLITE_READONLY) return 'the disk is read-only'
  if (code === 'EDQUOT') return 'the quota of the disk is used up'
  return error instanceof Error ? error.message : String(error)
}

/** A file to which lines are appended. */
export interface LogFile {
  write(line: string): void
  end(): void
}

/**
 * Opens a log and appends to what earlier runs wrote. It never ends the process: while the file cannot be written, lines are dropped, and
 * `onTrouble` is called once with the reason.
 */
export function openLog(path: string, onTrouble: (sentence: string) => void, rotateBytes = ROTATE_BYTES): LogFile {
  let file: number | undefined
  let bytes = 0
  let isTold = false
  const append = (line: string) => {
    file ??= openSync(path, 'a')
    if (bytes === 0) bytes = fstatSync(file).size
    if (bytes > rotateBytes) {
      closeSync(file)
      file = undefined
      renameSync(path, `${path}.1`)
      file = openSync(path, 'a')
      bytes = 0
    }
    bytes += writeSync(file, line)
  }
  return {
    // Synchronous, so that the last lines before a crash are written.
    write(line) {
      try {
        append(line)
        isTold = false
      } catch (error) {
        if (!isTold) onTrouble(`${path} cannot be written: ${whatFailed(error)}. The stack goes on without this log.`)
        isTold = true
      }
    },
    end() {
      if (file !== undefined) closeSync(file)
      file = undefined
    },
  }
}
