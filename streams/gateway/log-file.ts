/**
 * Log files that rotate by size, for a gateway without journald or a container runtime: `gateway.log`, `gateway.log.1`, …
 * @module
 */
import { appendFileSync, renameSync, rmSync, statSync } from 'node:fs'

export interface LogFileOptions {
  readonly file: string
  readonly maxBytes: number
  /** Number of rotated files that are kept, beside the current one. */
  readonly keep: number
}

export class LogFile {
  readonly #options: LogFileOptions
  #bytes: number

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#bytes = statSync(options.file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Lines that cannot be written are lost; ECGs continue to arrive. */
  write(text: string | Uint8Array): void {
    const bytes = Buffer.from(text)
    try {
      if (this.#bytes > 0 && this.#bytes + bytes.length > this.#options.maxBytes) this.#rotate()
      appendFileSync(this.#options.file, bytes, { mode: 0o600 })
      this.#bytes += bytes.length
    } catch {
      // A full disk is reported at the doors, in `/healthz` and in the metrics.
    }
  }

  #rotate(): void {
    const { file, keep } = this.#options
    const name = (age: number) => (age === 0 ? file : `${file}.${age}`)
    rmSync(name(keep), { force: true })
    for (let age = keep; age > 0; age--) {
      if (statSync(name(age - 1), { throwIfNoEntry: false }) !== undefined) renameSync(name(age - 1), name(age))
    }
    this.#bytes = 0
  }
}

/** Redirects standard output to the file. */
export function logToFile(options: LogFileOptions): void {
  const log = new LogFile(options)
  process.stdout.write = (chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
    log.write(chunk)
    const done = rest.at(-1)
    if (typeof done === 'function') done()
    return true
  }
}
