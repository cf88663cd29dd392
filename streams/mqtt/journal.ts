/**
 * The adapter's journal: data that was acknowledged to the broker and not yet sent to SQS, in one SQLite file. It also keeps the frames of
 * windows that were closed incomplete, as long as late frames may still complete them.
 *
 * Write-ahead log with `synchronous = FULL`: a commit returns when the log is on disk, so neither a crash of the process nor a power
 * failure costs an acknowledged frame (if the disk honours fsync). All frames that arrived together share a commit. Every irreversible
 * decision (a window is closed, a session has advanced) is written in the transaction of the frame that led to it, so a window that is read
 * after a restart has the same samples as without one.
 * @module
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { fileFault, foreignFile, isEmptied, newerFile } from '../../shared/data-files.ts'
import type { Frame } from '../../shared/domain/frame.ts'
import { windowSamples } from '../../shared/domain/window.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import { type DeviceWindow, startOfWindow } from './intake-message.ts'
import * as sql from './journal-queries.ts'
import { bytes, type FramePlace, int16, sessionFormat, toExtent, toHole, toPlace } from './journal-rows.ts'
import { SCHEMA_VERSION, UPGRADES } from './journal-tables.ts'
import type { Holding } from './limits.ts'
import type { PastWindows } from './past-windows.ts'
import {
  type AssemblerState,
  type ClosedWindow,
  type FrameExtent,
  type SessionFormat,
  windowWaveform,
} from './window-assembler.ts'

/** A stream of a device. */
export interface SessionKey {
  readonly tenant: string
  readonly device: string
  readonly session: string
}

/** A payload that was refused. */
export interface Reject {
  readonly topic: string
  readonly contentType: string | undefined
  readonly code: ErrorCode
  readonly field: string | undefined
  readonly payload: Uint8Array
}

/** A window to send: for the first time, or again as a new version. */
export interface VersionedWindow extends ClosedWindow {
  /** 1 unless the window was sent before. */
  readonly version: number
  /** Samples are missing that may still arrive. */
  readonly isShort: boolean
}

/** A session as it is in the journal. */
export interface StoredSession {
  readonly id: number
  readonly state: AssemblerState
  /** Samples before this are too late for any correction, unless their window is complete. */
  readonly expiredThrough: number
  /** See `Session`. */
  readonly firstChecksum: number | undefined
}

/** How much of a window has arrived. */
export interface Coverage {
  /** Samples per lead. */
  readonly covered: number
  /** Index after the last of them. */
  readonly reached: number
  /** They include the session's last frame. */
  readonly isEnded: boolean
}

/** Windows that can no longer be completed. */
export interface ExpiredHole {
  readonly sessionId: number
  readonly firstSample: number
  readonly endSample: number
}

export class Journal {
  /** The file existed but was empty when it was opened: its data is lost. */
  readonly wasEmptied: boolean
  readonly #path: string
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  /** Arrival number of the newest frame. */
  #arrival: number

  /**
   * Opens or creates the journal; `path` may be `:memory:`. It is locked exclusively. A journal of an earlier version is upgraded.
   * @throws CodedError `data-in-use` when another process holds it, `data-newer`, `data-foreign`, `data-corrupt`, `data-unwritable`,
   * `disk-full`
   */
  constructor(path: string) {
    this.#path = path
    this.wasEmptied = isEmptied(path)
    try {
      this.#db = new DatabaseSync(path, { timeout: 0 })
      this.#open()
      this.#arrival = this.#number(sql.LAST_ARRIVAL, 'arrival')
    } catch (error) {
      throw fileFault(path, error) ?? error
    }
  }

  #open(): void {
    // Frames are some kilobytes, so larger pages mean fewer pages per frame. Checkpoints of 2 MB keep the longest commit short
    // (measured with commits of three 6 KB frames: 0.2 ms, at worst 1.7 ms in a thousand; with SQLite's default of 1,000 pages 9 ms).
    this.#db.exec(`
      PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128`)
    const version = this.#number('PRAGMA user_version', 'user_version')
    if (version > SCHEMA_VERSION) throw newerFile(this.#path)
    // A file in which another program has created tables.
    if (version === 0 && this.#number('PRAGMA schema_version', 'schema_version') > 0) throw foreignFile(this.#path)
    if (version < SCHEMA_VERSION) {
      const steps = UPGRADES.slice(version).join('')
      this.transaction(() => this.#db.exec(`${steps} PRAGMA user_version = ${SCHEMA_VERSION}`))
    }
  }

  /**
   * Runs `write` as one durable unit: on disk when this returns, rolled back when it throws.
   * @throws CodedError `disk-full`, `data-corrupt`, `data-unwritable` naming the file, and whatever `write` throws
   */
  transaction<T>(write: () => T): T {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const value = write()
      this.#db.exec('COMMIT')
      return value
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw fileFault(this.#path, error) ?? error
    }
  }

  /** A stored session; `undefined` when it was never seen (or a day has passed). */
  findSession({ tenant, device, session }: SessionKey): StoredSession | undefined {
    const row = this.#statement(sql.FIND_SESSION).get(tenant, device, session)
    if (row === undefined) return undefined
    const id = Number(row.id)
    const closedThrough = Number(row.closed_through)
    const format = sessionFormat(row)
    const state = {
      format,
      closedThrough,
      closedSequence: Number(row.closed_sequence),
      frames: this.#openFrames(id, closedThrough, format),
      holes: this.#statement(sql.HOLES_OF_SESSION).all(id).map(toHole),
    }
    const firstChecksum = row.first_checksum === null ? undefined : Number(row.first_checksum)
    return { id, state, expiredThrough: Number(row.expired_through), firstChecksum }
  }

  addSession(
    { tenant, device, session }: SessionKey,
    { format, closedThrough, closedSequence }: AssemblerState,
    nowMs: number,
  ): number {
    const { sessionStartedAtMs, rateHz, leads } = format
    const { lastInsertRowid } = this.#statement(sql.ADD_SESSION).run(
      tenant,
      device,
      session,
      sessionStartedAtMs,
      rateHz,
      JSON.stringify(leads),
      closedThrough,
      closedSequence,
      nowMs,
    )
    return Number(lastInsertRowid)
  }

  saveFirst(sessionId: number, checksum: number): void {
    this.#statement(sql.SAVE_FIRST).run(checksum, sessionId)
  }

  addFrame(sessionId: number, frame: Frame, extent: FrameExtent): void {
    const { samples } = frame
    this.#statement(sql.ADD_FRAME).run(
      sessionId,
      extent.sequence,
      extent.firstSample,
      extent.endSample,
      Number(extent.isLast),
      frame.heartRateBpm ?? null,
      new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength),
      ++this.#arrival,
    )
  }

  /** The frame that starts at a sample, if it is stored. */
  frameAt(sessionId: number, firstSample: number, format: SessionFormat): FrameExtent | undefined {
    const row = this.#statement(sql.FRAME_AT).get(sessionId, firstSample)
    return row && toExtent(row, format)
  }

  /** The nearest stored frames before and after a sample. */
  neighbours(sessionId: number, firstSample: number): { readonly before?: FramePlace; readonly behind?: FramePlace } {
    const before = this.#statement(sql.FRAME_BEFORE).get(sessionId, firstSample)
    const behind = this.#statement(sql.FRAME_BEHIND).get(sessionId, firstSample)
    return { ...(before && { before: toPlace(before) }), ...(behind && { behind: toPlace(behind) }) }
  }

  /** How much of the samples [start, stop) has arrived. */
  coverage(sessionId: number, start: number, stop: number): Coverage {
    const span = { session: sessionId, start, stop, from: 2 * start - stop }
    const row = this.#statement(sql.COVERAGE).get(span)
    return { covered: Number(row?.covered), reached: Number(row?.reached), isEnded: row?.is_ended === 1 }
  }

  /** Stores that windows are closed, and the progress of their session. Returns the windows' ids, for `readWindow`. */
  closeWindows(
    sessionId: number,
    windows: readonly VersionedWindow[],
    { format, closedThrough, closedSequence }: Pick<AssemblerState, 'format' | 'closedThrough' | 'closedSequence'>,
    nowMs: number,
  ): readonly number[] {
    this.#statement(sql.ADVANCE_SESSION).run(closedThrough, closedSequence, nowMs, sessionId)
    const insert = this.#statement(sql.ADD_WINDOW)
    const ids = windows.map(({ firstSample, samples, version, isShort }) =>
      Number(insert.run(sessionId, firstSample, samples, version, Number(isShort), this.#arrival).lastInsertRowid),
    )
    const whole = windowSamples(format.rateHz)
    // A last window that is too short to be sent leaves nothing behind.
    const sentThrough = (windows.at(-1)?.firstSample ?? -whole) + whole
    if (sentThrough < closedThrough) this.#forgetFrames(sessionId, closedThrough - whole, closedThrough, whole)
    return ids
  }

  /** Stores which parts of a session's past are missing. */
  saveHoles(sessionId: number, { removed, saved }: ReturnType<PastWindows['takeChanges']>, nowMs: number): void {
    for (const firstSample of removed) this.#statement(sql.REMOVE_HOLE).run(sessionId, firstSample)
    for (const { firstSample, endSample, version, isReopened } of saved) {
      this.#statement(sql.SAVE_HOLE).run(sessionId, firstSample, endSample, version, Number(isReopened), nowMs)
    }
  }

  /** Ids of the windows that SQS does not have yet, oldest first. */
  pendingWindows(): readonly number[] {
    return this.#statement(sql.PENDING_WINDOWS)
      .all()
      .map(({ id }) => Number(id))
  }

  readWindow(windowId: number): DeviceWindow {
    const row = this.#statement(sql.READ_WINDOW).get(windowId)
    if (row === undefined) throw new Error(`window ${windowId} is not in the journal`)
    const window: ClosedWindow = { firstSample: Number(row.first_sample), samples: Number(row.window_samples) }
    const format = sessionFormat(row)
    const frames = this.#statement(sql.FRAMES_OF_WINDOW).all({
      session: Number(row.id),
      from: window.firstSample - windowSamples(format.rateHz),
      start: window.firstSample,
      stop: window.firstSample + window.samples,
      through: Number(row.through),
    })
    return {
      tenant: String(row.tenant),
      device: String(row.device),
      session: String(row.name),
      firstSample: window.firstSample,
      startedAtMs: startOfWindow(format.sessionStartedAtMs, window.firstSample, format.rateHz),
      heartRateBpm: frames.map((frame) => frame.heart_rate_bpm).findLast((bpm) => typeof bpm === 'number'),
      waveform: windowWaveform(
        format,
        window,
        frames.map((frame) => ({ firstSample: Number(frame.first_sample), samples: int16(frame.samples) })),
      ),
      version: Number(row.version),
      isShort: row.is_short === 1,
    }
  }

  /** SQS has the window: it is removed, together with the frames that nothing else needs. */
  windowSent(windowId: number): void {
    const row = this.#statement(sql.REMOVE_WINDOW).get(windowId)
    if (row === undefined) return
    const firstSample = Number(row.first_sample)
    const whole = windowSamples(Number(row.rate_hz))
    this.#forgetFrames(Number(row.session), firstSample, firstSample + Number(row.samples), whole)
  }

  addReject({ topic, contentType, code, field, payload }: Reject): number {
    const insert = this.#statement(sql.ADD_REJECT)
    return Number(insert.run(topic, contentType ?? null, code, field ?? null, payload).lastInsertRowid)
  }

  pendingRejects(): readonly number[] {
    return this.#statement(sql.PENDING_REJECTS)
      .all()
      .map(({ id }) => Number(id))
  }

  readReject(rejectId: number): Reject {
    const row = this.#statement(sql.READ_REJECT).get(rejectId)
    if (row === undefined) throw new Error(`reject ${rejectId} is not in the journal`)
    return {
      topic: String(row.topic),
      contentType: row.content_type === null ? undefined : String(row.content_type),
      // Only `addReject` writes this column.
      code: String(row.code) as ErrorCode,
      field: row.field === null ? undefined : String(row.field),
      payload: bytes(row.payload),
    }
  }

  rejectSent(rejectId: number): void {
    this.#statement(sql.REMOVE_REJECT).run(rejectId)
  }

  /** Sessions with frames of an open window, or with reopened windows. */
  openSessions(): readonly SessionKey[] {
    return this.#statement(sql.OPEN_SESSIONS)
      .all()
      .map(({ tenant, device, name }) => ({ tenant: String(tenant), device: String(device), session: String(name) }))
  }

  /**
   * Removes sessions that were last used before `beforeMs` and have no frame and no window, oldest first. Until then they distinguish late
   * repetitions from new frames.
   * @returns number of sessions
   */
  prune(beforeMs: number, most = Number.MAX_SAFE_INTEGER): number {
    const rows = this.#statement(sql.PRUNE_SESSIONS).all(beforeMs, most)
    for (const { id } of rows) this.#statement(sql.REMOVE_HOLES).run(Number(id))
    return rows.length
  }

  /** Gives up gaps that were recorded before `beforeMs`, oldest first, with the frames that were kept for them. */
  expireHoles(beforeMs: number, most = Number.MAX_SAFE_INTEGER): readonly ExpiredHole[] {
    return this.#statement(sql.OLDEST_HOLES)
      .all(beforeMs, most)
      .map((row) => {
        const [sessionId, firstSample, endSample] = [
          Number(row.session),
          Number(row.first_sample),
          Number(row.end_sample),
        ]
        this.#statement(sql.REMOVE_HOLE).run(sessionId, firstSample)
        const session = this.#statement(sql.EXPIRE_SESSION).get(endSample, sessionId)
        this.#forgetFrames(sessionId, firstSample, endSample, windowSamples(Number(session?.rate_hz)))
        return { sessionId, firstSample, endSample }
      })
  }

  /** Bytes of each device's frames. */
  holdings(): readonly Holding[] {
    return this.#statement(sql.HOLDINGS)
      .all()
      .map(({ tenant, device, bytes }) => ({ tenant: String(tenant), device: String(device), bytes: Number(bytes) }))
  }

  /** Bytes in use. The file keeps its largest size, and freed pages are reused. */
  get usedBytes(): number {
    const pages =
      this.#number('PRAGMA page_count', 'page_count') - this.#number('PRAGMA freelist_count', 'freelist_count')
    return pages * this.#number('PRAGMA page_size', 'page_size')
  }

  /** A copy that can be restored. The file must not exist. */
  backup(path: string): void {
    this.#db.exec(`VACUUM INTO '${path.replaceAll("'", "''")}'`)
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  /** Removes those frames in [from, to) that nothing needs. */
  #forgetFrames(session: number, from: number, to: number, whole: number): void {
    this.#statement(sql.FORGET_FRAMES).run({ session, from: from - whole, to, whole })
  }

  #openFrames(session: number, through: number, format: SessionFormat): readonly FrameExtent[] {
    const from = through - windowSamples(format.rateHz)
    const rows = this.#statement(sql.OPEN_FRAMES).all({ session, from, through })
    return rows.map((row) => toExtent(row, format))
  }

  #statement(text: string): StatementSync {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#db.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }

  #number(text: string, column: string): number {
    return Number(this.#statement(text).get()?.[column])
  }
}
