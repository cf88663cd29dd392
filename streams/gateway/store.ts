/**
 * The gateway's journal of whole ECGs: accepted ECGs, their results and pending deliveries, stays in beds, and open orders.
 *
 * SQLite, write-ahead log, `synchronous = FULL`: when a transaction returns, it is on disk, and only then does a door accept the ECG. A
 * kill or a power failure loses nothing that was acknowledged (if the disk honours fsync). It contains patient data: `docs/gateway.md`
 * describes its encryption, retention and erasure.
 * @module
 */
import { DatabaseSync } from 'node:sqlite'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { fileFault, foreignFile, newerFile, placeOf } from '../../shared/data-files.ts'
import { parseEcgId } from '../../shared/domain/ecg-id.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import { SCHEMA_VERSION, STATE, TABLES } from './queries.ts'
import { type Query, Statements } from './statements.ts'
import type { About, Added, Delivery, Door, Envelope, Erased, NewEcg, StoreCounts, StoredEcg } from './stored-ecg.ts'
import { shownResult } from './stored-ecg.ts'
import { WardBook } from './ward-book.ts'

export interface StoreOptions {
  /** Above this number of bytes in use, new ECGs are refused; none is dropped. */
  readonly limitBytes: number
  /** Whether there is a cloud to forward to; without one, an ECG does not wait for it. */
  readonly forwards: boolean
}

/** An ECG that the cloud does not have. */
export interface ToForward {
  readonly id: number
  readonly device: string | undefined
  readonly receivedAtMs: number
}

export class Store {
  readonly #db: DatabaseSync
  readonly #statements: Statements
  /** Stays in beds, and open orders. */
  readonly book: WardBook
  readonly #options: StoreOptions
  readonly #path: string
  #hasTrouble = false

  /**
   * Opens or creates the store. It is locked exclusively.
   * @throws CodedError `data-in-use` when another process holds it, `data-newer`, `data-foreign`, `data-corrupt`, `data-unwritable`,
   * `disk-full`
   */
  constructor(path: string, options: StoreOptions) {
    this.#options = options
    this.#path = path
    try {
      this.#db = new DatabaseSync(path, { timeout: 0 })
      openTables(this.#db, path)
    } catch (error) {
      throw fileFault(path, error) ?? error
    }
    this.#statements = new Statements(this.#db)
    this.book = new WardBook(this.#statements)
  }

  /**
   * Runs `write` as one durable unit.
   * @throws CodedError `disk-full` when the disk is full or cannot be written; then nothing of it is kept
   */
  transaction<T>(write: () => T): T {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const value = write()
      this.#db.exec('COMMIT')
      return value
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#hasTrouble ||= isDiskTrouble(error)
      throw isDiskTrouble(error) ? new CodedError('disk-full', placeOf(this.#path), { cause: error }) : error
    }
  }

  /** Whether the last write failed. */
  get hasTrouble(): boolean {
    return this.#hasTrouble
  }

  /** Writes without changing anything, to find out whether the disk accepts writes again. */
  probe(): void {
    try {
      this.transaction(() => this.#db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`))
      this.#hasTrouble = false
    } catch {
      // The state stays as it is.
    }
  }

  /** Whether a new ECG may be stored. Waiting data is never dropped for it. */
  get hasRoom(): boolean {
    return this.usedBytes < this.#options.limitBytes
  }

  /**
   * Stores an ECG, within a transaction. The same one again (by its id, or by its samples) is recognised.
   * @throws CodedError `disk-full` when the store has reached its limit
   */
  addEcg({ door, envelope, packed, waveformSha256, about }: NewEcg, nowMs: number): Added {
    const { tenant, ecgId, version = 1, origin } = envelope
    if (waveformSha256 !== undefined) {
      const known = this.#statements.row('ecgByWaveform', tenant, waveformSha256)
      if (known !== undefined) return { id: Number(known.id), ecgId: parseEcgId(String(known.ecg_id))!, isNew: false }
    }
    const known = this.#statements.row('ecgByKey', tenant, ecgId, version)
    if (known !== undefined) return { id: Number(known.id), ecgId, isNew: false }
    if (!this.hasRoom) throw new CodedError('disk-full', { field: 'limitMb', ...placeOf(this.#path) })
    const row = this.#statements.of('addEcg').get({
      tenant,
      ecgId,
      version,
      waveformSha256: waveformSha256 ?? null,
      door,
      device: 'device' in origin ? (origin.device ?? null) : null,
      envelope: JSON.stringify(envelope),
      packed,
      patient: about.visit.patient ?? null,
      about: JSON.stringify(about),
      receivedAtMs: nowMs,
      forwarded: this.#options.forwards ? STATE.waiting : STATE.done,
    })
    return { id: Number(row!.id), ecgId, isNew: true }
  }

  readEcg(id: number): StoredEcg | undefined {
    const row = this.#statements.row('readEcg', id)
    if (row === undefined) return undefined
    return {
      id,
      // Only `addEcg` writes these columns.
      door: row.door as Door,
      envelope: JSON.parse(String(row.envelope)) as Envelope,
      packed: row.packed as Uint8Array,
      about: JSON.parse(String(row.about)) as About,
      receivedAtMs: Number(row.received_at_ms),
      result: row.result === null ? undefined : unpack(row.result as Uint8Array),
    }
  }

  /** ECGs that wait for screening, oldest first. */
  toScreen(after: number, limit: number): readonly number[] {
    return this.#statements.rows('toScreen', after, limit).map(({ id }) => Number(id))
  }

  /** Stores a result and queues it for `peers`, as one unit. An existing result is kept. */
  storeResult(id: number, json: string, peers: readonly string[]): boolean {
    return this.transaction(() => {
      const packed = zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 6 } })
      const isNew = Number(this.#statements.of('storeResult').run(packed, id).changes) > 0
      if (isNew) for (const peer of peers) this.#statements.of('addDelivery').run(id, peer)
      return isNew
    })
  }

  /** Marks an ECG that cannot be screened here; the cloud may be able to. */
  giveUpScreening(id: number): void {
    this.transaction(() => this.#statements.of('giveUpScreening').run(id))
  }

  /** The newest result of an ECG as JSON, or that of one version. */
  resultOf(tenant: string, ecgId: string, version?: number): string | undefined {
    const row = this.#statements
      .rows('resultsOfEcg', tenant, ecgId)
      .find((each) => each.result !== null && (version === undefined || Number(each.version) === version))
    // `addEcg` writes the columns.
    return row && shownResult(unpack(row.result as Uint8Array), JSON.parse(String(row.about)) as About)
  }

  /** Records that the cloud flags this ECG differently; its result here says so from now on. */
  markDiffering(id: number): void {
    this.transaction(() => this.#statements.of('markDiffering').run(id))
  }

  /** The newest result of those that a version replaces. */
  resultBefore({ tenant, ecgId, version = 1 }: Pick<Envelope, 'tenant' | 'ecgId' | 'version'>): Result | undefined {
    const row = this.#statements
      .rows('resultsOfEcg', tenant, ecgId)
      .find((each) => each.result !== null && Number(each.version) < version)
    return row && parseResult(unpack(row.result as Uint8Array))
  }

  /** Whether there is a result of a later version, so that this one is outdated. */
  isSuperseded({ tenant, ecgId, version = 1 }: Pick<Envelope, 'tenant' | 'ecgId' | 'version'>): boolean {
    return this.#statements
      .rows('resultsOfEcg', tenant, ecgId)
      .some((each) => each.result !== null && Number(each.version) > version)
  }

  /** The latest ECGs, newest first. */
  lastEcgs(sinceMs: number, limit: number): readonly StoredEcg[] {
    return this.#statements.rows('lastResults', sinceMs, limit).map(({ id }) => this.readEcg(Number(id))!)
  }

  /** ECGs that the cloud does not have, from an id on, oldest first. */
  toForward(from: number, limit: number): readonly ToForward[] {
    return this.#statements.rows('toForwardAfter', from, limit).map((row) => ({
      id: Number(row.id),
      device: row.device === null ? undefined : String(row.device),
      receivedAtMs: Number(row.received_at_ms),
    }))
  }

  /** The first ECG that arrived at `ms` or later. */
  firstSince(ms: number): number | undefined {
    const row = this.#statements.row('firstSince', ms)
    return row && Number(row.id)
  }

  markForwarded(ids: readonly number[], state: 'done' | 'dead'): void {
    this.transaction(() => {
      for (const id of ids) this.#statements.of('markForwarded').run(STATE[state], id)
    })
  }

  nextDelivery(peer: string): Delivery | undefined {
    const row = this.#statements.row('nextDelivery', peer)
    return row && { id: Number(row.id), ecg: Number(row.ecg) }
  }

  deliveriesOf(peer: string, most: number): readonly Delivery[] {
    return this.#statements
      .rows('deliveriesOf', peer, most)
      .map((row) => ({ id: Number(row.id), ecg: Number(row.ecg) }))
  }

  endDelivery(id: number, state: 'done' | 'dead', reason?: string): void {
    this.transaction(() => this.#statements.of('endDelivery').run(STATE[state], reason ?? null, id))
  }

  /** Delivers the newest result of an ECG to a peer once more, if the peer had it. */
  deliverAgain(peer: string, { tenant, ecgId }: Pick<Envelope, 'tenant' | 'ecgId'>): void {
    this.transaction(() => this.#statements.of('deliverAgain').run(peer, tenant, ecgId))
  }

  /**
   * Retries refused deliveries.
   * @returns number of deliveries
   */
  retryDead(): number {
    return this.transaction(() => Number(this.#statements.of('retryDead').run().changes))
  }

  /** Records, within a transaction, that a DICOM instance is on disk. Storage commitment depends on it. */
  addInstance(uid: string, nowMs: number): void {
    this.#statements.of('addInstance').run(uid, nowMs)
  }

  hasInstance(uid: string): boolean {
    return this.#statements.row('hasInstance', uid) !== undefined
  }

  /**
   * Removes what is older than the retention and has no pending delivery.
   * @returns number of ECGs
   */
  forgetOlderThan(beforeMs: number): number {
    return this.transaction(() => {
      const ids = this.#statements.rows('expired', beforeMs).map(({ id }) => Number(id))
      for (const id of ids) this.#forget(id)
      this.#statements.of('forgetStays').run(beforeMs)
      this.#statements.of('forgetOrders').run(beforeMs)
      this.#statements.of('forgetInstances').run(beforeMs)
      return ids.length
    })
  }

  /**
   * Erases everything about a patient here, forwarded or not: data with the patient's number, and what devices recorded at the patient's
   * beds during the stays.
   * @param devicesAt the devices of a bed
   * @param named files of the folder that name the patient; what was read from them is erased too
   */
  erase(
    patient: string,
    devicesAt: (bed: string) => readonly string[],
    named: ReadonlySet<string> = new Set(),
  ): Erased {
    const erased = this.transaction(() => {
      const ids = new Set(this.#statements.rows('ecgsOfPatient', patient).map(({ id }) => Number(id)))
      for (const { bed, fromMs, toMs } of this.book.reader.ofPatient(patient)) {
        for (const device of devicesAt(bed)) for (const id of this.#takenBy(device, fromMs, toMs)) ids.add(id)
      }
      if (named.size > 0) {
        for (const { id, about } of this.#statements.rows('ecgsOfFolder')) {
          const { file } = JSON.parse(String(about)) as About // as `addEcg` wrote it
          if (file !== undefined && named.has(file)) ids.add(Number(id))
        }
      }
      const files = [...ids].flatMap((id) => this.readEcg(id)?.about.file ?? [])
      for (const id of ids) this.#forget(id)
      this.#statements.of('erasePatientStays').run(patient)
      this.#statements.of('erasePatientOrders').run(patient)
      return { ecgs: ids.size, files }
    })
    // Deleted data is overwritten (`secure_delete`), but the log contains the old pages until it is checkpointed.
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return erased
  }

  counts(): StoreCounts {
    const forward = this.#statements.row('countToForward')!
    return {
      ecgs: Number(this.#statements.row('countEcgs')!.count),
      toScreen: Number(this.#statements.row('countToScreen')!.count),
      toForward: Number(forward.count),
      oldestToForwardMs: forward.oldest === null ? undefined : Number(forward.oldest),
      deliveries: this.#statements.rows('countDeliveries').map(({ peer, state, count }) => ({
        peer: String(peer),
        state: state === STATE.dead ? 'dead' : 'waiting',
        count: Number(count),
      })),
    }
  }

  /** When the last ECG arrived, by the clock at that time. */
  newestMs(): number | undefined {
    const newest = this.#statements.row('newest')?.newest
    return newest === null || newest === undefined ? undefined : Number(newest)
  }

  /** Makes a copy that can be restored, while ECGs arrive. The file must not exist. */
  backup(path: string): void {
    this.#db.exec(`VACUUM INTO '${path.replaceAll("'", "''")}'`)
  }

  get usedBytes(): number {
    const pragma = (name: string) => Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name])
    return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
  }

  /** SQLite's query plan of a statement, for the test of query plans. */
  explain(name: Query): readonly string[] {
    return this.#statements.explain(name)
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #takenBy(device: string, fromMs: number, toMs = Number.MAX_SAFE_INTEGER): number[] {
    return this.#statements.rows('ecgsOfDevice', device).flatMap((row) => {
      const { span } = JSON.parse(String(row.envelope)) as Envelope // as `addEcg` wrote it
      const atMs = span.startedAt === null ? Number.NaN : Date.parse(span.startedAt)
      return atMs >= fromMs && atMs < toMs ? [Number(row.id)] : []
    })
  }

  #forget(id: number): void {
    this.#statements.of('forgetDeliveries').run(id)
    this.#statements.of('forgetEcg').run(id)
  }
}

/** SQLite's primary codes of disk errors: IOERR, READONLY, FULL, CANTOPEN. */
const DISK_CODES = [10, 8, 13, 14]

function openTables(db: DatabaseSync, path: string): void {
  db.exec(`
    PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128; PRAGMA secure_delete = ON`)
  const { user_version: version, schema_version: tables } = {
    ...db.prepare('PRAGMA user_version').get(),
    ...db.prepare('PRAGMA schema_version').get(),
  }
  if (version === SCHEMA_VERSION) return
  // A file in which another program has created tables.
  if (version !== 0 || tables !== 0) throw version === 0 ? foreignFile(path) : newerFile(path)
  db.exec(`BEGIN; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
}

function isDiskTrouble(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false
  return DISK_CODES.includes(Number(error.errcode) & 0xff)
}

function unpack(packed: Uint8Array): string {
  return zstdDecompressSync(packed).toString('utf8')
}
