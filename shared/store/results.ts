/**
 * Results in DynamoDB: one item per ECG, version, bundle, profile and site calibration (if any), written once. The result never changes. When
 * a later version is stored, the earlier ones leave the index `byArrival`, so that lists show an ECG's newest version only.
 *
 * Under the same `pk` are the marks of an ECG that is in progress or deleted, and pointers to its drawing jobs (`keys.ts`). The index
 * `byArrival` has what a list shows. The result itself is JSON compressed with zstd: 15 KB of text become 2.5 KB, and DynamoDB bills each
 * written kilobyte.
 * @module
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { EcgId } from '../domain/ecg-id.ts'
import type { Person } from '../domain/recording.ts'
import { parseResult, type Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import type { Origin, ResultMessage } from '../messages.ts'
import {
  arrivedAt,
  cmrJobKey,
  cmrJobOfRow,
  deletedKey,
  type EhrSource,
  ecgPk,
  ehrEcgKey,
  isDeletedKey,
  isResultKey,
  RESULTS,
  RESULTS_AND_MARK,
  receivedKey,
  resultArrival,
  resultKey,
  type SortKeys,
  windowKey,
} from './keys.ts'
import { IS_NEW, type Row, Table } from './table.ts'

/** Outcome of storing a result. */
export type Stored =
  /** `json` is the stored text: this result's, or that of the one that came first, byte for byte. */
  { readonly kind: 'new' | 'known'; readonly json: string } | { readonly kind: 'deleted' }

/** A result and what it was made from. */
export interface Judged {
  readonly result: Result
  readonly origin: Origin
  /** Facts about the person that the model received. */
  readonly person: Person | undefined
  readonly arrivedAt: Date
}

interface StoredOrigin {
  readonly arrival: string
  readonly person?: Person
  readonly device?: string
  readonly session?: string
  readonly ehr?: EhrSource
}

export class ResultStore {
  readonly #table: Table
  readonly #keptDays: number | undefined

  /** @param keptDays days after which DynamoDB removes a result; without it, none is removed */
  constructor(dynamo: DynamoDBClient, table: string, keptDays?: number) {
    this.#table = new Table(dynamo, table)
    this.#keptDays = keptDays
  }

  /**
   * Stores a result unless one with its key exists, or its ECG was deleted.
   * @param now used as the start time when the source does not state one
   * @param person as given to the model, so that the same can be used when a cine is drawn
   * @throws CodedError `session-changed` when the existing result is of other samples: a device used a session's name again
   */
  async putOnce(tenant: string, origin: Origin, result: Result, now: Date, person?: Person): Promise<Stored> {
    const stored = await this.#put(tenant, origin, result, now, person)
    // After the put: a deletion first sets its mark and then looks for results, so one of the two always sees the other. So do two versions.
    const rows = await this.#rows(tenant, result.ecgId, RESULTS_AND_MARK)
    if (rows.some(({ sk }) => isDeletedKey(sk))) {
      await this.#table.delete(resultKey(tenant, result))
      return { kind: 'deleted' }
    }
    await this.#unlistReplaced(rows.filter(({ sk }) => isResultKey(sk)))
    return stored
  }

  /** A row without `arrival` is not in the index. */
  async #unlistReplaced(rows: readonly Row[]): Promise<void> {
    const newest = Math.max(...rows.map(versionOf))
    for (const { pk, sk, arrival, ...row } of rows) {
      if (arrival === undefined || versionOf(row) === newest) continue
      const change = { set: { replacedArrival: arrival }, remove: ['arrival'] }
      // A row that has just been deleted stays deleted.
      const isThere = { expression: '#arrival = :arrival', values: { arrival } }
      await this.#table.update({ pk: String(pk), sk: String(sk) }, change, isThere)
    }
  }

  async #put(tenant: string, origin: Origin, result: Result, now: Date, person: Person | undefined): Promise<Stored> {
    const json = JSON.stringify(result)
    const key = resultKey(tenant, result)
    const row = {
      ...key,
      tenant,
      arrival: resultArrival(now, result),
      startedAt: result.span.startedAt ?? now.toISOString(),
      status: result.status,
      device: 'device' in origin ? origin.device : undefined,
      session: 'session' in origin ? origin.session : undefined,
      ehr: ehrOf(origin),
      person: person !== undefined && Object.keys(person).length > 0 ? person : undefined,
      flagged: result.findings.filter((finding) => finding.flagged).map((finding) => finding.condition),
      ...listed(result),
      result: packResult(json),
      expiresAt: this.#keptDays === undefined ? undefined : Math.ceil(now.getTime() / 1000) + this.#keptDays * 86_400,
    }
    if (await this.#table.putIf(row, IS_NEW)) return { kind: 'new', json }
    const known = await this.#table.get(key)
    if (known === undefined) throw new CodedError('unavailable', { field: 'result' })
    const stored = unpack(known)
    const { provenance } = parseResult(stored)
    if (provenance.inputSha256 !== result.provenance.inputSha256) {
      throw new CodedError('session-changed', { field: 'session' })
    }
    return { kind: 'known', json: stored }
  }

  /**
   * The JSON of an ECG's newest result, or `undefined`. Another tenant's ECG looks like one that never existed.
   * @param version only this version
   */
  async latest(tenant: string, ecgId: EcgId, version?: number): Promise<string | undefined> {
    const newest = await this.#newest(tenant, ecgId, (each) => version === undefined || each === version)
    return newest && unpack(newest)
  }

  /** The version of an ECG's newest result; `undefined` while there is none. */
  async version(tenant: string, ecgId: EcgId): Promise<number | undefined> {
    const newest = await this.#newest(tenant, ecgId)
    return newest && versionOf(newest)
  }

  /** The newest result of those that a version replaces. */
  async before(tenant: string, ecgId: EcgId, version: number): Promise<Result | undefined> {
    const before = await this.#newest(tenant, ecgId, (each) => each < version)
    return before && parseResult(unpack(before))
  }

  /**
   * The newest result with what it was made from.
   * @param version only this version
   */
  async judged(tenant: string, ecgId: EcgId, version?: number): Promise<Judged | undefined> {
    const newest = await this.#newest(tenant, ecgId, (each) => version === undefined || each === version)
    if (newest === undefined) return undefined
    const { person, arrival, ...from } = newest as Row & StoredOrigin // as `putOnce` wrote it
    return {
      result: parseResult(unpack(newest)),
      person,
      origin: originOf(from),
      arrivedAt: new Date(arrivedAt(arrival)),
    }
  }

  /** The newest result as it was published. */
  async message(tenant: string, ecgId: EcgId): Promise<ResultMessage | undefined> {
    const newest = await this.#newest(tenant, ecgId)
    if (newest === undefined) return undefined
    const from = newest as Row & StoredOrigin // as `putOnce` wrote it
    return { schema: 1, tenant, origin: originOf(from), result: unpack(newest) }
  }

  /**
   * The newest row. Returns nothing for an ECG that is marked as deleted, even while rows of it remain; the same read includes the mark.
   */
  async #newest(
    tenant: string,
    ecgId: EcgId,
    isWanted: (version: number) => boolean = () => true,
  ): Promise<Row | undefined> {
    const rows = await this.#rows(tenant, ecgId, RESULTS_AND_MARK)
    if (rows.some(({ sk }) => isDeletedKey(sk))) return undefined
    return rows
      .filter((row) => isResultKey(row.sk) && isWanted(versionOf(row)))
      .toSorted((a, b) => versionOf(a) - versionOf(b) || String(a.arrival).localeCompare(String(b.arrival)))
      .at(-1)
  }

  /** Records that an ECG is in progress: until its result is stored, it is known and can be deleted. */
  async markReceived(tenant: string, ecgId: EcgId, origin: Origin): Promise<void> {
    const ehr = ehrOf(origin)
    if (ehr !== undefined) await this.#table.put(ehrEcgKey(tenant, ehr, ecgId))
    await this.#table.put({ ...receivedKey(tenant, ecgId), ehr })
  }

  async isReceived(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(receivedKey(tenant, ecgId))) !== undefined
  }

  /** Whether an ECG was deleted. A repeated message about it must leave nothing behind. */
  async isDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(deletedKey(tenant, ecgId))) !== undefined
  }

  /** Awaits a read. Returns `undefined` when it fails because the ECG was deleted. */
  async unlessDeleted<T>(tenant: string, ecgId: EcgId, reading: Promise<T>): Promise<T | undefined> {
    try {
      return await reading
    } catch (error) {
      if (await this.isDeleted(tenant, ecgId)) return undefined
      throw error
    }
  }

  /** Those of these ECGs that were deleted. */
  async deletedOf(tenant: string, ecgIds: readonly EcgId[]): Promise<ReadonlySet<EcgId>> {
    const marks = await eachOf(ecgIds, async (ecgId) => ((await this.isDeleted(tenant, ecgId)) ? [ecgId] : []))
    return new Set(marks.flat())
  }

  /** Whether the removal of a deleted ECG is still in progress. */
  async isBeingDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(deletedKey(tenant, ecgId)))?.isPending === true
  }

  /**
   * Marks an ECG as deleted, permanently: from now on nobody can read it. Its data is removed afterwards, until `endDeletion`.
   * @returns false when the tenant does not have, and never had, this ECG
   */
  async markDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    if (!(await this.#table.has(ecgPk(tenant, ecgId)))) return false
    await this.#table.put({ ...deletedKey(tenant, ecgId), isPending: true })
    return true
  }

  /** Records that only the mark is left of a deleted ECG. */
  async endDeletion(tenant: string, ecgId: EcgId): Promise<void> {
    await this.#table.put(deletedKey(tenant, ecgId))
  }

  /** Whether anything of an ECG exists except the mark of its deletion. */
  async hasRows(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#rows(tenant, ecgId)).some(({ sk }) => !isDeletedKey(sk))
  }

  /** Devices that an ECG is known to come from. */
  async devicesOf(tenant: string, ecgId: EcgId): Promise<ReadonlySet<string>> {
    const rows = await this.#rows(tenant, ecgId, RESULTS)
    return new Set(rows.flatMap(({ device }) => (typeof device === 'string' ? [device] : [])))
  }

  /**
   * Removes all rows of an ECG except the mark of its deletion, and its window in a live session. Rows that lead to the ECG are removed
   * last, so that an interrupted removal can continue.
   * @returns number of rows
   */
  async removeRows(tenant: string, ecgId: EcgId): Promise<number> {
    const rows = (await this.#rows(tenant, ecgId)).filter(({ sk }) => !isDeletedKey(sk))
    await eachOf(rows, async ({ pk, sk, device, session, ...row }) => {
      if (typeof device === 'string' && typeof session === 'string') {
        const { span } = parseResult(unpack(row))
        await this.#table.delete(windowKey({ tenant, device, session }, span.firstSample))
      }
      const job = cmrJobOfRow(sk)
      if (job !== undefined) await this.#table.delete(cmrJobKey(tenant, job))
      await this.#table.delete({ pk: String(pk), sk: String(sk) })
    })
    for (const { ehr } of rows) {
      if (ehr !== undefined) await this.#table.delete(ehrEcgKey(tenant, ehr as EhrSource, ecgId)) // as it was written
    }
    return rows.length
  }

  /** Allows a deleted ECG to be submitted again. */
  async undelete(tenant: string, ecgId: EcgId): Promise<void> {
    await this.#table.delete(deletedKey(tenant, ecgId))
  }

  // A consistent read: a reader right after the publication must find the result, because `report` takes an absent one for deleted.
  #rows(tenant: string, ecgId: EcgId, keys?: SortKeys): Promise<Row[]> {
    return Array.fromAsync(this.#table.rows(ecgPk(tenant, ecgId), keys))
  }
}

/** What a list shows beside status and flags (`result-list.ts`). */
function listed({ quality, findings, warnings, version }: Result) {
  const readable = findings.filter(({ withheld }) => withheld === undefined)
  const top = readable.toSorted((a, b) => b.probability - a.probability)[0]
  return {
    heartRateBpm: quality.heartRateBpm ?? undefined,
    reasons: quality.reasons.length === 0 ? undefined : quality.reasons,
    top: top === undefined ? undefined : { condition: top.condition, probability: top.probability },
    warnings: warnings.length === 0 ? undefined : [...new Set(warnings.map(({ code }) => code))],
    version: version === 1 ? undefined : version,
  }
}

function ehrOf(origin: Origin): EhrSource | undefined {
  return origin.kind === 'fhir' ? { server: origin.server, source: origin.source } : undefined
}

function originOf({ device, session, ehr }: Omit<StoredOrigin, 'arrival'>): Origin {
  if (ehr !== undefined) return { kind: 'fhir', ...ehr }
  if (device !== undefined && session !== undefined) return { kind: 'mqtt', device, session }
  return { kind: 'upload', ...(device === undefined ? {} : { device }) }
}

/** Concurrent requests to the table. */
const CONCURRENCY = 20

/** Calls `act` for each item, a limited number at a time. */
async function eachOf<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<readonly R[]> {
  const done: R[] = []
  for (let at = 0; at < all.length; at += CONCURRENCY) {
    done.push(...(await Promise.all(all.slice(at, at + CONCURRENCY).map(act))))
  }
  return done
}

const versionOf = ({ version }: Row) => Number(version ?? 1)

/** Compression level 9 takes 0.1 ms more than zstd's default level, and in most cases saves a billed kilobyte. */
export function packResult(json: string): Buffer {
  return zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 9 } })
}

function unpack(item: Row): string {
  if (!(item.result instanceof Uint8Array)) throw new CodedError('internal', { field: 'result' })
  return zstdDecompressSync(item.result).toString('utf8')
}
