/**
 * A folder into which other systems drop files (GE MUSE and others, by FTP or a share). A file is read when it is complete: its size and
 * time have not changed for a while, or it arrived by renaming. It is then moved to `done/`, or to `rejected/` with the reason in a file
 * beside it. File names are never logged.
 * @module
 */
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { MAX_FILE_BYTES } from '../formats/format.ts'
import { parseRecording, type SourceFile } from '../formats/index.ts'
import { headerCompanions } from './companions.ts'
import { FOLDER_PEER } from './peers.ts'
import { ecgOf } from './recordings.ts'
import type { Store } from './store.ts'
import type { Added } from './stored-ecg.ts'

export interface FolderDoorOptions {
  readonly watch: string
  readonly tenant: string
  readonly store: Store
  /** Monotonic milliseconds, by which unchanged time is measured. */
  readonly now: () => number
  /** Milliseconds since 1970. */
  readonly receivedAt: () => number
  readonly warnings: () => readonly ResultWarning[]
  /** How long a file must be unchanged. */
  readonly stableMs?: number
  readonly onStored: (added: readonly Added[]) => void
  readonly onTaken: (error: CodedError | undefined) => void
}

/** Beginnings and endings of names while a file is still being written. */
const UNFINISHED = /^\.|\.(?:part|tmp|partial|filepart|crdownload|writing)$|~$/i

/** A signal file without its header is rejected after this time. */
const ORPHAN_MS = 10 * 60_000

interface Seen {
  readonly size: number
  readonly mtimeMs: number
  readonly sinceMs: number
}

export class FolderDoor {
  readonly #options: Required<FolderDoorOptions>
  readonly #seen = new Map<string, Seen>()
  #isBusy = false

  constructor(options: FolderDoorOptions) {
    this.#options = { stableMs: 2000, ...options }
  }

  async open(): Promise<void> {
    for (const folder of ['', 'done', 'rejected']) {
      await mkdir(join(this.#options.watch, folder), { recursive: true, mode: 0o700 })
    }
  }

  /** Checks the folder once; must be called every second. A check that takes longer is not overlapped. */
  async look(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      for (const name of await this.#whole()) await this.#take(name)
    } finally {
      this.#isBusy = false
    }
  }

  /** Writes results beside their files. */
  async deliver(): Promise<void> {
    const { store, watch } = this.#options
    for (const { id, ecg } of store.deliveriesOf(FOLDER_PEER, 100)) {
      const stored = store.readEcg(ecg)
      if (stored?.about.file !== undefined && stored.result !== undefined) {
        const to = join(watch, 'done', `${stored.about.file}.result.json`)
        await writeFile(`${to}.tmp`, stored.result, { mode: 0o600 })
        await rename(`${to}.tmp`, to)
      }
      store.endDelivery(id, 'done')
    }
  }

  /** Names of files that have not changed for long enough. */
  async #whole(): Promise<readonly string[]> {
    const { watch, now, stableMs } = this.#options
    const entries = await readdir(watch, { withFileTypes: true })
    const names = entries.filter((each) => each.isFile() && !UNFINISHED.test(each.name)).map(({ name }) => name)
    for (const known of this.#seen.keys()) if (!names.includes(known)) this.#seen.delete(known)
    const whole: string[] = []
    for (const name of names) {
      const info = await stat(join(watch, name)).catch(() => undefined)
      if (info === undefined) continue
      const { size, mtimeMs } = info
      const before = this.#seen.get(name)
      const isSame = before !== undefined && before.size === size && before.mtimeMs === mtimeMs
      if (!isSame) this.#seen.set(name, { size, mtimeMs, sinceMs: now() })
      else if (now() - before.sinceMs >= stableMs) whole.push(name)
    }
    return whole
  }

  async #take(name: string): Promise<void> {
    const { watch, onTaken, onStored } = this.#options
    let files: readonly SourceFile[] = []
    try {
      // Its main file may have moved it already.
      if (!(await exists(join(watch, name)))) return
      const main = await this.#read(name)
      files = [main]
      const others = headerCompanions(main)
      // A WFDB header waits for its signal files, and these for their header.
      if (others === 'not-the-main-file') {
        if (!this.#isOrphan(name)) return
        throw new CodedError('file-not-found', { field: 'header' })
      }
      for (const other of others) {
        if (!this.#isWhole(other)) return
        files = [...files, await this.#read(other)]
      }
      const added = this.#store(files, name)
      await this.#move(files, 'done')
      if (added.isNew) onStored([added])
      onTaken(undefined)
    } catch (cause) {
      const error = toCodedError(cause)
      onTaken(error)
      // When the disk is full or unreadable, the file stays where it is and is tried again.
      if (error.code === 'disk-full' || error.code === 'internal') return
      await this.#move(files.length > 0 ? files : [{ name, bytes: new Uint8Array() }], 'rejected')
      const reason = JSON.stringify({ code: error.code, ...error.detail })
      await writeFile(join(watch, 'rejected', `${name}.reason.json`), `${reason}\n`, { mode: 0o600 })
    }
  }

  #isWhole(name: string): boolean {
    const seen = this.#seen.get(name)
    return seen !== undefined && this.#options.now() - seen.sinceMs >= this.#options.stableMs
  }

  #isOrphan(name: string): boolean {
    const seen = this.#seen.get(name)
    return seen !== undefined && this.#options.now() - seen.sinceMs >= ORPHAN_MS
  }

  async #read(name: string): Promise<SourceFile> {
    const path = join(this.#options.watch, name)
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size > MAX_FILE_BYTES) throw new CodedError('payload-too-large', { field: 'file', maxBytes: MAX_FILE_BYTES })
      return { name, bytes: await file.readFile() }
    } finally {
      await file.close()
    }
  }

  #store(files: readonly SourceFile[], name: string): Added {
    const { store, tenant, receivedAt, warnings } = this.#options
    const recording = parseRecording(files)
    const visit = { patient: undefined, authority: undefined, bed: undefined }
    const received = ecgOf({
      tenant,
      door: 'folder',
      recording,
      device: undefined,
      about: { order: {}, visit, file: name },
      warnings: warnings(),
    })
    return store.transaction(() => store.addEcg(received, receivedAt()))
  }

  /** Moves files. A name that already exists gets a number, so that nothing is overwritten. */
  async #move(files: readonly SourceFile[], folder: 'done' | 'rejected'): Promise<void> {
    const { watch } = this.#options
    for (const { name } of files) {
      let target = join(watch, folder, name)
      for (let i = 1; await exists(target); i++) target = join(watch, folder, `${i}-${basename(name)}`)
      await rename(join(watch, name), target).catch(() => {})
      this.#seen.delete(name)
    }
  }

  /** Removes files that have been in `done/` and `rejected/` for longer than the retention. */
  async forgetOlderThan(beforeMs: number): Promise<void> {
    for (const folder of ['done', 'rejected']) {
      const path = join(this.#options.watch, folder)
      for (const name of await readdir(path)) {
        const { mtimeMs, ctimeMs } = await stat(join(path, name))
        // A rename keeps the modification time; the change time is when it was moved here.
        if (Math.max(mtimeMs, ctimeMs) < beforeMs) await rm(join(path, name), { force: true })
      }
    }
  }

  /**
   * Names of the files in `done/` and `rejected/` that contain a patient's number as a separate word, in any of the usual encodings.
   * Compressed content is not searched.
   */
  async filesNaming(patient: string): Promise<ReadonlySet<string>> {
    const found = new Set<string>()
    const needles = (['utf8', 'utf16le', 'latin1'] as const).map((encoding) => Buffer.from(patient, encoding))
    for (const folder of ['done', 'rejected']) {
      for (const name of await readdir(join(this.#options.watch, folder))) {
        const bytes = await readFile(join(this.#options.watch, folder, name)).catch(() => undefined)
        const isNamed =
          name.includes(patient) || needles.some((needle) => bytes !== undefined && hasWord(bytes, needle))
        if (isNamed) found.add(name)
      }
    }
    return found
  }

  /** Removes files, together with their results and reasons. */
  async erase(names: Iterable<string>): Promise<void> {
    for (const name of names) {
      for (const folder of ['done', 'rejected']) {
        for (const each of [name, `${name}.result.json`, `${name}.reason.json`]) {
          await rm(join(this.#options.watch, folder, each), { force: true })
        }
      }
    }
  }
}

/** Whether a file contains a word without a letter or digit before or after it: 4711 is not in 14711. */
function hasWord(bytes: Buffer, word: Buffer): boolean {
  for (let at = bytes.indexOf(word); at >= 0; at = bytes.indexOf(word, at + 1)) {
    if (!isWordByte(bytes[at - 1]) && !isWordByte(bytes[at + word.length])) return true
  }
  return false
}

const isWordByte = (byte: number | undefined) => byte !== undefined && /[A-Za-z0-9]/.test(String.fromCharCode(byte))

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
