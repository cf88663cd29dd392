/**
 * The gateway's journal of whole ECGs: what a door has said yes to, its result, where it has still to go, who lies in which bed, and which order waits.
 *
 * SQLite, write-ahead log, `synchronous = FULL`: when a transaction returns, it is on the disk, and only then does a door say yes. Killing the process, or
 * pulling the plug, loses nothing that was acknowledged (as far as the disk keeps its word on fsync). It holds people's data: `docs/gateway.md` says how
 * it is encrypted, how long it is kept and how it is erased.
 * @module
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { type EcgId, parseEcgId } from '../../shared/domain/ecg-id.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import type { Stay, StayChange, StayReader } from '../hl7/beds.ts'
import type { OrderNumbers, Visit } from '../hl7/visit.ts'
import { QUERIES, SCHEMA_VERSION, STATE, TABLES } from './queries.ts'

export type Door = 'mqtt' | 'hl7' | 'dicom' | 'folder'

export type Envelope = Omit<IntakeMessage, 'waveform'>

/** What goes back with the result: numbers of an order and of a stay. Never leaves for the cloud. */
export interface About {
  readonly order: OrderNumbers
  readonly visit: Visit
  /** Name of the file that it came in. */
  readonly file?: string
}

export interface NewEcg {
  readonly door: Door
  readonly envelope: Envelope
  readonly packed: Uint8Array
  /** Of a whole recording: the same samples by another door are the same ECG. */
  readonly waveformSha256?: string | undefined
  readonly about: About
}

export interface StoredEcg {
  readonly id: number
  readonly door: Door
  readonly envelope: Envelope
  readonly packed: Uint8Array
  readonly about: About
  readonly receivedAtMs: number
  /** JSON, once it was screened. */
  readonly result: string | undefined
}

export interface Added {
  readonly id: number
  /** That of the ECG which came first, where the same samples came before. */
  readonly ecgId: EcgId
  readonly isNew: boolean
}

export interface Delivery {
  readonly id: number
  readonly ecg: number
}

export interface Erased {
  readonly ecgs: number
  /** Names of the files that they came in. */
  readonly files: readonly string[]
}

export interface StoreCounts {
  readonly ecgs: number
  readonly toScreen: number
  readonly toForward: number
  readonly oldestToForwardMs: number | undefined
  readonly deliveries: readonly { readonly peer: string; readonly state: 'waiting' | 'dead'; readonly count: number }[]
}

type Query = keyof typeof QUERIES
type Row = Record<string, unknown>

export interface StoreOptions {
  /** Beyond so many bytes in use, new ECGs are refused; none is dropped. */
  readonly limitBytes: number
  /** Whether there is a cloud to forward to; without one, an ECG has nothing to wait for. */
  readonly forwards: boolean
}

export class Store {
  readonly #db: DatabaseSync
  readonly #statements = new Map<Query, StatementSync>()
  readonly #options: StoreOptions

  /**
   * Opens the store, or makes it. It is held alone.
   * @throws Error when another process holds it or another version wrote it
   */
  constructor(path: string, options: StoreOptions) {
    this.#options = options
    this.#db = new DatabaseSync(path, { timeout: 0 })
    this.#db.exec(`
      PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 128; PRAGMA secure_delete = ON`)
    const version = Number(this.#db.prepare('PRAGMA user_version').get()?.user_version)
    if (version === 0) this.#db.exec(`BEGIN; ${TABLES} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`)
    else if (version !== SCHEMA_VERSION) throw new Error(`the store is of version ${version}, not ${SCHEMA_VERSION}`)
  }

  /**
   * Runs `write` as one durable unit.
   * @throws CodedError `disk-full` when the disk has no room or cannot be written; nothing of it is kept then
   */
  transaction<T>(write: () => T): T {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const value = write()
      this.#db.exec('COMMIT')
      return value
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw isDiskTrouble(error) ? new CodedError('disk-full', { field: 'journal' }, { cause: error }) : error
    }
  }

  /** Whether a new ECG may come in. What is kept for others is never dropped for it. */
  get hasRoom(): boolean {
    return this.usedBytes < this.#options.limitBytes
  }

  /**
   * Stores an ECG, within a transaction. The same one again (by its id, or by its samples) is known.
   * @throws CodedError `disk-full` when the store has reached its limit
   */
  addEcg({ door, envelope, packed, waveformSha256, about }: NewEcg, nowMs: number): Added {
    const { tenant, ecgId, version = 1, origin } = envelope
    if (waveformSha256 !== undefined) {
      const known = this.#row('ecgByWaveform', tenant, waveformSha256)
      if (known !== undefined) return { id: Number(known.id), ecgId: parseEcgId(String(known.ecg_id))!, isNew: false }
    }
    const known = this.#row('ecgByKey', tenant, ecgId, version)
    if (known !== undefined) return { id: Number(known.id), ecgId, isNew: false }
    if (!this.hasRoom) throw new CodedError('disk-full', { field: 'journal' })
    const row = this.#statement('addEcg').get({
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
    const row = this.#row('readEcg', id)
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

  /** ECGs that wait for their result, the oldest first. */
  toScreen(after: number, limit: number): readonly number[] {
    return this.#rows('toScreen', after, limit).map(({ id }) => Number(id))
  }

  /** Keeps a result and queues it for `peers`, as one unit. A result that is there already stands. */
  storeResult(id: number, json: string, peers: readonly string[]): boolean {
    return this.transaction(() => {
      const packed = zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 6 } })
      const isNew = Number(this.#statement('storeResult').run(packed, id).changes) > 0
      if (isNew) for (const peer of peers) this.#statement('addDelivery').run(id, peer)
      return isNew
    })
  }

  /** It cannot be screened here; the cloud may know better. */
  giveUpScreening(id: number): void {
    this.transaction(() => this.#statement('giveUpScreening').run(id))
  }

  /** The newest result of an ECG, as JSON. */
  resultOf(tenant: string, ecgId: string): string | undefined {
    const row = this.#rows('resultsOfEcg', tenant, ecgId).find(({ result }) => result !== null)
    return row && unpack(row.result as Uint8Array)
  }

  /** What came last, the newest first. */
  lastEcgs(sinceMs: number, limit: number): readonly StoredEcg[] {
    return this.#rows('lastResults', sinceMs, limit).map(({ id }) => this.readEcg(Number(id))!)
  }

  /** ECGs that the cloud does not have, from an id on, the oldest first. */
  toForward(from: number, limit: number): readonly { readonly id: number; readonly receivedAtMs: number }[] {
    return this.#rows('toForwardAfter', from, limit).map((row) => ({
      id: Number(row.id),
      receivedAtMs: Number(row.received_at_ms),
    }))
  }

  /** The first ECG that came at `ms` or later. */
  firstSince(ms: number): number | undefined {
    const row = this.#row('firstSince', ms)
    return row && Number(row.id)
  }

  markForwarded(ids: readonly number[], state: 'done' | 'dead'): void {
    this.transaction(() => {
      for (const id of ids) this.#statement('markForwarded').run(STATE[state], id)
    })
  }

  nextDelivery(peer: string): Delivery | undefined {
    const row = this.#row('nextDelivery', peer)
    return row && { id: Number(row.id), ecg: Number(row.ecg) }
  }

  deliveriesOf(peer: string): readonly Delivery[] {
    return this.#rows('deliveriesOf', peer).map((row) => ({ id: Number(row.id), ecg: Number(row.ecg) }))
  }

  endDelivery(id: number, state: 'done' | 'dead', reason?: string): void {
    this.transaction(() => this.#statement('endDelivery').run(STATE[state], reason ?? null, id))
  }

  /** Gives what was refused another try. @returns how many */
  retryDead(): number {
    return this.transaction(() => Number(this.#statement('retryDead').run().changes))
  }

  get stays(): StayReader {
    return {
      ofPatient: (patient) => this.#rows('staysOfPatient', patient).map(stayOf),
      inBed: (bed) => {
        const row = this.#row('inBed', bed)
        return row && stayOf(row)
      },
    }
  }

  /** Who lay in a bed at a time. */
  stayAt(bed: string, atMs: number): Stay | undefined {
    const row = this.#row('inBedAt', bed, atMs, atMs)
    return row && stayOf(row)
  }

  /** Within a transaction. */
  applyStays(changes: readonly StayChange[]): void {
    for (const change of changes) {
      if (change.kind === 'rename') {
        for (const query of ['renameStays', 'renameOrders', 'setPatient'] as const) {
          this.#statement(query).run(change.to, change.from)
        }
        continue
      }
      const { bed, patient, authority, fromMs } = change.stay
      if (change.kind === 'begin') this.#statement('beginStay').run(bed, patient, authority ?? null, fromMs)
      else if (change.kind === 'end') this.#statement('endStay').run(change.toMs, bed, fromMs, patient)
      else if (change.kind === 'reopen') this.#statement('endStay').run(null, bed, fromMs, patient)
      else this.#statement('removeStay').run(bed, fromMs, patient)
    }
  }

  /** Within a transaction. */
  addOrder({ placer = '', filler = '', service }: OrderNumbers, patient: string | undefined, nowMs: number): void {
    this.#statement('addOrder').run(placer, filler, service ? JSON.stringify(service) : null, patient ?? null, nowMs)
  }

  cancelOrder({ placer = '', filler = '' }: OrderNumbers): void {
    this.#statement('cancelOrder').run(placer, filler)
  }

  /** The order of a patient that waits, the newest where several do. */
  openOrder(patient: string): OrderNumbers | undefined {
    const row = this.#row('openOrder', patient)
    if (row === undefined) return undefined
    return {
      ...(row.placer === '' ? {} : { placer: String(row.placer) }),
      ...(row.filler === '' ? {} : { filler: String(row.filler) }),
      // Only `addOrder` writes this column.
      ...(row.service === null ? {} : { service: JSON.parse(String(row.service)) as OrderNumbers['service'] & {} }),
    }
  }

  orderAnswered({ placer = '', filler = '' }: OrderNumbers): void {
    this.#statement('orderAnswered').run(placer, filler)
  }

  /** Within a transaction: a DICOM instance is on the disk, which storage commitment asks about. */
  addInstance(uid: string, nowMs: number): void {
    this.#statement('addInstance').run(uid, nowMs)
  }

  hasInstance(uid: string): boolean {
    return this.#row('hasInstance', uid) !== undefined
  }

  /** Forgets what is older than it is kept and has nowhere to go any more. @returns how many ECGs */
  forgetOlderThan(beforeMs: number): number {
    return this.transaction(() => {
      const ids = this.#rows('expired', beforeMs).map(({ id }) => Number(id))
      for (const id of ids) this.#forget(id)
      this.#statement('forgetStays').run(beforeMs)
      this.#statement('forgetOrders').run(beforeMs)
      this.#statement('forgetInstances').run(beforeMs)
      return ids.length
    })
  }

  /**
   * Erases all that is known of a patient here, whether it has been forwarded or not: what came with the number, and what devices took at the patient's
   * beds meanwhile.
   * @param devicesAt the devices of a bed
   */
  erase(patient: string, devicesAt: (bed: string) => readonly string[]): Erased {
    const erased = this.transaction(() => {
      const ids = new Set(this.#rows('ecgsOfPatient', patient).map(({ id }) => Number(id)))
      for (const { bed, fromMs, toMs } of this.stays.ofPatient(patient)) {
        for (const device of devicesAt(bed)) for (const id of this.#takenBy(device, fromMs, toMs)) ids.add(id)
      }
      const files = [...ids].flatMap((id) => this.readEcg(id)?.about.file ?? [])
      for (const id of ids) this.#forget(id)
      this.#statement('erasePatientStays').run(patient)
      this.#statement('erasePatientOrders').run(patient)
      return { ecgs: ids.size, files }
    })
    // What was deleted is overwritten (`secure_delete`); the log still has the old pages until it is written back.
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    return erased
  }

  counts(): StoreCounts {
    const forward = this.#row('countToForward')!
    return {
      ecgs: Number(this.#row('countEcgs')!.count),
      toScreen: Number(this.#row('countToScreen')!.count),
      toForward: Number(forward.count),
      oldestToForwardMs: forward.oldest === null ? undefined : Number(forward.oldest),
      deliveries: this.#rows('countDeliveries').map(({ peer, state, count }) => ({
        peer: String(peer),
        state: state === STATE.dead ? 'dead' : 'waiting',
        count: Number(count),
      })),
    }
  }

  /** When the last ECG came, by the clock of then. */
  newestMs(): number | undefined {
    const newest = this.#row('newest')?.newest
    return newest === null || newest === undefined ? undefined : Number(newest)
  }

  /** A copy that can be restored, taken while ECGs arrive. The file must not exist. */
  backup(path: string): void {
    this.#db.exec(`VACUUM INTO '${path.replaceAll("'", "''")}'`)
  }

  get usedBytes(): number {
    const pragma = (name: string) => Number(this.#db.prepare(`PRAGMA ${name}`).get()?.[name])
    return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
  }

  /** What SQLite would do for a statement: for the test of query plans. */
  explain(name: Query): readonly string[] {
    return this.#db
      .prepare(`EXPLAIN QUERY PLAN ${QUERIES[name]}`)
      .all()
      .map(({ detail }) => String(detail))
  }

  close(): void {
    this.#statements.clear()
    this.#db.close()
  }

  #takenBy(device: string, fromMs: number, toMs = Number.MAX_SAFE_INTEGER): number[] {
    return this.#rows('ecgsOfDevice', device).flatMap((row) => {
      const { span } = JSON.parse(String(row.envelope)) as Envelope // as `addEcg` wrote it
      const atMs = span.startedAt === null ? Number.NaN : Date.parse(span.startedAt)
      return atMs >= fromMs && atMs < toMs ? [Number(row.id)] : []
    })
  }

  #forget(id: number): void {
    this.#statement('forgetDeliveries').run(id)
    this.#statement('forgetEcg').run(id)
  }

  #row(name: Query, ...values: readonly SQLInputValue[]): Row | undefined {
    return this.#statement(name).get(...values)
  }

  #rows(name: Query, ...values: readonly SQLInputValue[]): readonly Row[] {
    return this.#statement(name).all(...values)
  }

  #statement(name: Query): StatementSync {
    let statement = this.#statements.get(name)
    if (statement === undefined) {
      statement = this.#db.prepare(QUERIES[name])
      this.#statements.set(name, statement)
    }
    return statement
  }
}

/** SQLite's primary codes for an error of the disk: IOERR, READONLY, FULL, CANTOPEN. */
const DISK_CODES = [10, 8, 13, 14]

function isDiskTrouble(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false
  return DISK_CODES.includes(Number(error.errcode) & 0xff)
}

function unpack(packed: Uint8Array): string {
  return zstdDecompressSync(packed).toString('utf8')
}

function stayOf(row: Row): Stay {
  return {
    bed: String(row.bed),
    patient: String(row.patient),
    authority: row.authority === null ? undefined : String(row.authority),
    fromMs: Number(row.from_ms),
    toMs: row.to_ms === null ? undefined : Number(row.to_ms),
  }
}

/** A stored result, read. */
export const resultIn = (ecg: StoredEcg): Result | undefined =>
  ecg.result === undefined ? undefined : parseResult(ecg.result)
