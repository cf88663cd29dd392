/**
 * The devices' door with its frame journal. When the journal could not be written, memory is ahead of the disk, so both are restarted from
 * the disk. Meanwhile devices are disconnected without acknowledgement and keep their frames; the other doors continue.
 * @module
 */
import type { Socket } from 'node:net'
import { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import { pause } from '../../shared/pause.ts'
import type { Journal } from '../mqtt/journal.ts'
import { MqttDoor, type MqttDoorOptions } from './mqtt-door.ts'

export interface DeviceDoorOptions extends Omit<MqttDoorOptions, 'journal' | 'onFailed'> {
  readonly journal: Journal
  /** Reopens the journal. */
  readonly reopen: () => Journal
  readonly logger: Log
}

const RETRY_MS = 1000

export class DeviceDoor {
  readonly #options: DeviceDoorOptions
  readonly #stopping = new AbortController()
  #open: { readonly door: MqttDoor; readonly journal: Journal } | undefined
  #restarting: Promise<void> | undefined

  private constructor(options: DeviceDoorOptions) {
    this.#options = options
  }

  static async open(options: DeviceDoorOptions): Promise<DeviceDoor> {
    const own = new DeviceDoor(options)
    await own.#start(options.journal)
    return own
  }

  /** Whether devices are served. */
  get isUp(): boolean {
    return this.#open !== undefined
  }

  get usedBytes(): number {
    return this.#open?.journal.usedBytes ?? 0
  }

  get sessions(): number {
    return this.#open?.door.sessions ?? 0
  }

  get frames() {
    return this.#open?.door.frames
  }

  serve(socket: Socket): void {
    if (this.#open === undefined) socket.destroy()
    else this.#open.door.serve(socket)
  }

  upkeep(): void {
    this.#open?.door.upkeep()
  }

  prune(): void {
    this.#open?.door.prune()
  }

  deliver(peer: string): void {
    this.#open?.door.deliver(peer)
  }

  /**
   * Copies the frame journal.
   * @throws CodedError `data-unwritable` while it cannot be used
   */
  backup(path: string): void {
    if (this.#open === undefined) throw new CodedError('data-unwritable', { field: 'frames.db' })
    this.#open.journal.backup(path)
  }

  async close(): Promise<void> {
    this.#stopping.abort()
    await this.#restarting
    await this.#open?.door.close()
    this.#open?.journal.close()
    this.#open = undefined
  }

  async #start(journal: Journal): Promise<void> {
    const door = await MqttDoor.open({
      ...this.#options,
      journal,
      onFailed: (error) => {
        this.#options.logger.error('the frame journal cannot be written', describeError(error))
        this.#restarting ??= this.#restart().finally(() => {
          this.#restarting = undefined
        })
      },
    })
    this.#open = { door, journal }
  }

  async #restart(): Promise<void> {
    const { logger, reopen } = this.#options
    const { signal } = this.#stopping
    const before = this.#open
    this.#open = undefined
    await before?.door.close()
    closeQuietly(before?.journal)
    while (!signal.aborted && this.#open === undefined) {
      await pause(RETRY_MS, signal)
      if (signal.aborted) return
      let journal: Journal | undefined
      try {
        journal = reopen()
        await this.#start(journal)
        logger.info('the frame journal is written again')
      } catch {
        // Reported once; the restart is retried until the disk accepts writes.
        closeQuietly(journal)
      }
    }
  }
}

function closeQuietly(journal: Journal | undefined): void {
  try {
    journal?.close()
  } catch {
    // The next process that opens the journal writes the rest.
  }
}
