/**
 * The adapter's journal: what it has acknowledged to the broker and not yet handed to SQS, in one SQLite file.
 *
 * Write-ahead log with `synchronous = FULL`: a commit returns once the log is on the disk, so neither a crash of the process nor a loss of
 * power costs an acknowledged frame (as far as the disk keeps its word on fsync). Commits are shared by all that arrived together.
 * Every decision that cannot be made again (a window is closed, a session has gone on) is written in the transaction of the frame that
 * led to it, so a window read after a restart has the very samples that it would have had.
 * @module
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Frame, FrameLead } from '../../shared/domain/frame.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import { type DeviceWindow, startOfWindow } from './intake-message.ts'
import {
  type AssemblerState,
  type ClosedWindow,
  extentOf,
  type FrameExtent,
  type SessionFormat,
  windowWaveform,
} from './window-assembler.ts'

/** Bump it with the tables; a journal of another version is refused, never guessed at. */
const SCHEMA_VERSION = 1

const TABLES = `
  CREATE TABLE session (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL, device TEXT NOT NULL, name TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL, rate_hz REAL NOT NULL, leads TEXT NOT NULL,
    closed_through INTEGER NOT NULL, closed_sequence INTEGER NOT NULL,
    touched_at_ms INTEGER NOT NULL,
    UNIQUE (tenant, device, name)
  ) STRICT;
  CREATE TABLE frame (
    session INTEGER NOT NULL, sequence INTEGER NOT NULL,
    first_sample INTEGER NOT NULL, end_sample INTEGER NOT NULL, is_last INTEGER NOT NULL,
    heart_rate_bpm REAL, samples BLOB NOT NULL,
    PRIMARY KEY (session, first_sample)
  ) STRICT;
  CREATE TABLE window (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, first_sample INTEGER NOT NULL, samples INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX window_of_session ON window (session, first_sample);
  CREATE TABLE reject (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, content_type TEXT, code TEXT NOT NULL, field TEXT, payload BLOB NOT NULL
  ) STRICT;
`

/** Which stream of which device. */
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

export class Journal {
  readonly #db: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /**
   * Opens the journal, or makes it; `path` may be `:memory:`. It is held alone.
   * @throws Error when another process holds it or another version wrote it
   */
  constructor(path: string) {
    this.#db = new DatabaseSync(path, { timeout: 0 })
    // Frames are some kilobytes: larger pages mean fewer of them a frame. Checkpoints of 2 MB keep the longest commit short
    // (measured, three frames of 6 KB a commit: 0.2 ms, 1.7 ms at worst of a thousand; with SQLite's own 1,000 pages 9 ms).
    this.#db.exec(`
      PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128`)
    const version = this.#number('PRAGMA user_version', 'user_version')
    if (version === 0) this.#db.exec(`BEGIN; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
    else if (version !== SCHEMA_VERSION) throw new Error(`the journal is of version ${version}, not ${SCHEMA_VERSION}`)
  }

  /** Runs `write` as one durable unit: on disk when this returns, undone when it throws. */
  transaction<T>(write: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      const value = write()
      this.#db.exec('COMMIT')
      return value
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw error
    }
  }

  /** A session as it was left, or `undefined` when it was never seen (or a day has passed). */
  findSession({ tenant, device, session }: SessionKey): { id: number; state: AssemblerState } | undefined {
    const row = this.#statement('SELECT * FROM session WHERE tenant = ? AND device = ? AND name = ?').get(
      tenant,
      device,
      session,
    )
    if (row === undefined) return undefined
    const id = Number(row.id)
    const format = sessionFormat(row)
    return {
      id,
      state: {
        format,
        closedThrough: Number(row.closed_through),
        closedSequence: Number(row.closed_sequence),
        frames: this.#openFrames(id, Number(row.closed_through), format),
      },
    }
  }

  addSession(
    { tenant, device, session }: SessionKey,
    { format, closedThrough, closedSequence }: AssemblerState,
    nowMs: number,
  ): number {
    const { lastInsertRowid } = this.#statement(
      `INSERT INTO session (tenant, device, name, started_at_ms, rate_hz, leads, closed_through, closed_sequence, touched_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ).run(
      tenant,
      device,
      session,
      format.sessionStartedAtMs,
      format.rateHz,
      JSON.stringify(format.leads),
      closedThrough,
      closedSequence,
      nowMs,
    )
    return Number(lastInsertRowid)
  }

  addFrame(sessionId: number, frame: Frame, extent: FrameExtent): void {
    const { samples } = frame
    this.#statement('INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?)').run(
      sessionId,
      extent.sequence,
      extent.firstSample,
      extent.endSample,
      Number(extent.isLast),
      frame.heartRateBpm ?? null,
      new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength),
    )
  }

  /** Whether a frame is held whose end lies in (from, to]. */
  holdsFrameEnding(sessionId: number, from: number, to: number): boolean {
    const held = this.#statement('SELECT 1 FROM frame WHERE session = ? AND end_sample > ? AND end_sample <= ?')
    return held.get(sessionId, from, to) !== undefined
  }

  /** Writes down that windows are closed, and how far their session has come. Returns the windows' ids, for `readWindow`. */
  closeWindows(
    sessionId: number,
    windows: readonly ClosedWindow[],
    { closedThrough, closedSequence }: Pick<AssemblerState, 'closedThrough' | 'closedSequence'>,
    nowMs: number,
  ): readonly number[] {
    this.#statement('UPDATE session SET closed_through = ?, closed_sequence = ?, touched_at_ms = ? WHERE id = ?').run(
      closedThrough,
      closedSequence,
      nowMs,
      sessionId,
    )
    const insert = this.#statement('INSERT INTO window (session, first_sample, samples) VALUES (?, ?, ?)')
    const ids = windows.map(({ firstSample, samples }) =>
      Number(insert.run(sessionId, firstSample, samples).lastInsertRowid),
    )
    if (windows.length === 0) this.#forgetFrames(sessionId)
    return ids
  }

  /** Ids of the windows that SQS does not have yet, oldest first. */
  pendingWindows(): readonly number[] {
    return this.#statement('SELECT id FROM window ORDER BY id')
      .all()
      .map(({ id }) => Number(id))
  }

  readWindow(windowId: number): DeviceWindow {
    const row = this.#statement(
      `SELECT session.*, window.first_sample, window.samples AS window_samples
       FROM window JOIN session ON session.id = window.session WHERE window.id = ?`,
    ).get(windowId)
    if (row === undefined) throw new Error(`window ${windowId} is not in the journal`)
    const window: ClosedWindow = { firstSample: Number(row.first_sample), samples: Number(row.window_samples) }
    const frames = this.#statement(
      'SELECT first_sample, heart_rate_bpm, samples FROM frame WHERE session = ? AND end_sample > ? AND first_sample < ? ORDER BY first_sample',
    ).all(Number(row.id), window.firstSample, window.firstSample + window.samples)
    const format = sessionFormat(row)
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
    }
  }

  /** SQS has the window: it leaves the journal, and with it the frames that no other window needs. */
  windowSent(windowId: number): void {
    const row = this.#statement('DELETE FROM window WHERE id = ? RETURNING session').get(windowId)
    if (row !== undefined) this.#forgetFrames(Number(row.session))
  }

  addReject({ topic, contentType, code, field, payload }: Reject): number {
    const insert = this.#statement(
      'INSERT INTO reject (topic, content_type, code, field, payload) VALUES (?, ?, ?, ?, ?)',
    )
    return Number(insert.run(topic, contentType ?? null, code, field ?? null, payload).lastInsertRowid)
  }

  pendingRejects(): readonly number[] {
    return this.#statement('SELECT id FROM reject ORDER BY id')
      .all()
      .map(({ id }) => Number(id))
  }

  readReject(rejectId: number): Reject {
    const row = this.#statement('SELECT * FROM reject WHERE id = ?').get(rejectId)
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
    this.#statement('DELETE FROM reject WHERE id = ?').run(rejectId)
  }

  /** Sessions with frames whose window is not closed. */
  openSessions(): readonly SessionKey[] {
    return this.#statement(
      `SELECT tenant, device, name FROM session
       WHERE EXISTS (SELECT 1 FROM frame WHERE frame.session = session.id AND end_sample > closed_through)`,
    )
      .all()
      .map(({ tenant, device, name }) => ({ tenant: String(tenant), device: String(device), session: String(name) }))
  }

  /** Forgets sessions that were last touched before `beforeMs` and hold nothing. Until then they tell late repeats from new frames. */
  prune(beforeMs: number): void {
    this.#statement(
      `DELETE FROM session WHERE touched_at_ms < ?
       AND NOT EXISTS (SELECT 1 FROM frame WHERE frame.session = session.id)
       AND NOT EXISTS (SELECT 1 FROM window WHERE window.session = session.id)`,
    ).run(beforeMs)
  }

  /** Bytes in use. The file keeps its largest size; freed pages are used again. */
  get usedBytes(): number {
    const pages =
      this.#number('PRAGMA page_count', 'page_count') - this.#number('PRAGMA freelist_count', 'freelist_count')
    return pages * this.#number('PRAGMA page_size', 'page_size')
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  /** Frames that lie before every unsent window and before what is still open. */
  #forgetFrames(sessionId: number): void {
    this.#statement(
      `DELETE FROM frame WHERE session = :session AND end_sample <= coalesce(
         (SELECT min(first_sample) FROM window WHERE session = :session),
         (SELECT closed_through FROM session WHERE id = :session))`,
    ).run({ session: sessionId })
  }

  #openFrames(sessionId: number, closedThrough: number, format: SessionFormat): readonly FrameExtent[] {
    const rows = this.#statement('SELECT * FROM frame WHERE session = ? AND end_sample > ?').all(
      sessionId,
      closedThrough,
    )
    return rows.map((row) =>
      extentOf({
        ...format,
        session: '',
        sequence: Number(row.sequence),
        firstSample: Number(row.first_sample),
        samples: int16(row.samples),
        isLast: row.is_last === 1,
      }),
    )
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #number(sql: string, column: string): number {
    return Number(this.#statement(sql).get()?.[column])
  }
}

type Row = Record<string, unknown>

function sessionFormat(row: Row): SessionFormat {
  return {
    sessionStartedAtMs: Number(row.started_at_ms),
    rateHz: Number(row.rate_hz),
    // Only `addSession` writes this column.
    leads: JSON.parse(String(row.leads)) as readonly FrameLead[],
  }
}

function bytes(column: unknown): Uint8Array {
  if (column instanceof Uint8Array) return column
  throw new Error('the journal holds no bytes where it should')
}

function int16(column: unknown): Int16Array {
  // A copy where SQLite's bytes are not aligned.
  const blob = bytes(column)
  const aligned = blob.byteOffset % 2 === 0 ? blob : Uint8Array.from(blob)
  return new Int16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2)
}
