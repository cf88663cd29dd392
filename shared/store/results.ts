/**
 * Results in DynamoDB: one item a (ECG, version, bundle, profile, site calibration if any), written once and never changed.
 *
 * Beside them, under the same `pk`: the marks of an ECG that is on its way or was deleted, and pointers to jobs that draw from it (`keys.ts`).
 * The index `byArrival` has what a list shows. The result itself is zstd JSON: 15 KB of text are 2.5 KB, and DynamoDB bills each written kilobyte.
 * @module
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { EcgId } from '../domain/ecg-id.ts'
import type { Person } from '../domain/recording.ts'
import { parseResult, type Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'
import type { Origin } from '../messages.ts'
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

/** What became of a result that was to be stored. */
export type Stored =
  /** `json` is what is stored: this result's, or that of the one that came first, byte for byte. */
  { readonly kind: 'new' | 'known'; readonly json: string } | { readonly kind: 'deleted' }

/** A result and what it was made from. */
export interface Judged {
  readonly result: Result
  readonly origin: Origin
  /** What the model was told of the person. */
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

  /** @param keptDays after which DynamoDB forgets a result; without it, none is forgotten */
  constructor(dynamo: DynamoDBClient, table: string, keptDays?: number) {
    this.#table = new Table(dynamo, table)
    this.#keptDays = keptDays
  }

  /**
   * Stores a result unless one with its key is there already, or its ECG was deleted.
   * @param now stands in for the start time where the source does not say one
   * @param person as the model was told, so that it can be told the same when a cine is drawn
   * @throws CodedError `session-changed` when the one that came first is of other samples: a device used a session's name again
   */
  async putOnce(tenant: string, origin: Origin, result: Result, now: Date, person?: Person): Promise<Stored> {
    const stored = await this.#put(tenant, origin, result, now, person)
    // After the put, not before: who deletes leaves the mark first and looks for results then, so one of the two sees the other.
    if (!(await this.isDeleted(tenant, result.ecgId))) return stored
    await this.#table.delete(resultKey(tenant, result))
    return { kind: 'deleted' }
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
   * The JSON of an ECG's newest result as it is now, or `undefined`. Another tenant's ECG is as absent as one that never was.
   * @param version of this version only
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

  /** The newest result with what it was made from. */
  async judged(tenant: string, ecgId: EcgId): Promise<Judged | undefined> {
    const newest = await this.#newest(tenant, ecgId)
    if (newest === undefined) return undefined
    const { person, arrival, ...from } = newest as Row & StoredOrigin // as `putOnce` wrote it
    return {
      result: parseResult(unpack(newest)),
      person,
      origin: originOf(from),
      arrivedAt: new Date(arrivedAt(arrival)),
    }
  }

  /** Nothing of an ECG that is marked as deleted, whatever of it is still to be removed: the mark comes with the same read. */
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

  /** Notes that an ECG is on its way: until its result is there, it is known and can be deleted. */
  async markReceived(tenant: string, ecgId: EcgId, origin: Origin): Promise<void> {
    const ehr = ehrOf(origin)
    if (ehr !== undefined) await this.#table.put(ehrEcgKey(tenant, ehr, ecgId))
    await this.#table.put({ ...receivedKey(tenant, ecgId), ehr })
  }

  async isReceived(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(receivedKey(tenant, ecgId))) !== undefined
  }

  /** Whether an ECG was deleted: a message of it that comes again must leave nothing behind. */
  async isDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(deletedKey(tenant, ecgId))) !== undefined
  }

  /** What was read; `undefined` where it is gone because its ECG was deleted. */
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

  /** Whether what was marked as deleted is being removed still. */
  async isBeingDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#table.get(deletedKey(tenant, ecgId)))?.isPending === true
  }

  /**
   * Marks an ECG as deleted, for good: from now on nobody reads it. What is there of it is removed afterwards, until `endDeletion`.
   * @returns false when the tenant has, and had, no such ECG
   */
  async markDeleted(tenant: string, ecgId: EcgId): Promise<boolean> {
    if (!(await this.#table.has(ecgPk(tenant, ecgId)))) return false
    await this.#table.put({ ...deletedKey(tenant, ecgId), isPending: true })
    return true
  }

  /** Says that nothing of a deleted ECG is left but its mark. */
  async endDeletion(tenant: string, ecgId: EcgId): Promise<void> {
    await this.#table.put(deletedKey(tenant, ecgId))
  }

  /** Whether there is anything of an ECG but the mark that it was deleted. */
  async hasRows(tenant: string, ecgId: EcgId): Promise<boolean> {
    return (await this.#rows(tenant, ecgId)).some(({ sk }) => !isDeletedKey(sk))
  }

  /** Devices that an ECG is known to be of. */
  async devicesOf(tenant: string, ecgId: EcgId): Promise<ReadonlySet<string>> {
    const rows = await this.#rows(tenant, ecgId, RESULTS)
    return new Set(rows.flatMap(({ device }) => (typeof device === 'string' ? [device] : [])))
  }

  /**
   * Removes all that is known of an ECG but the mark that it was deleted, with its place in a live session. What leads to an ECG goes last, so that
   * one that was broken off can be taken up.
   * @returns how many rows
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

  /** Lets a deleted ECG in again. */
  async undelete(tenant: string, ecgId: EcgId): Promise<void> {
    await this.#table.delete(deletedKey(tenant, ecgId))
  }

  // Read as it is now: a reader right after the publication must not find nothing, for `report` takes that for deleted.
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

/** Requests to the table that run at the same time. */
const CONCURRENCY = 20

/** Does something for each, some at a time. */
async function eachOf<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<readonly R[]> {
  const done: R[] = []
  for (let at = 0; at < all.length; at += CONCURRENCY) {
    done.push(...(await Promise.all(all.slice(at, at + CONCURRENCY).map(act))))
  }
  return done
}

const versionOf = ({ version }: Row) => Number(version ?? 1)

/** A tenth of a millisecond more than zstd's default level, and in most cases a billed kilobyte less. */
export function packResult(json: string): Buffer {
  return zstdCompressSync(json, { params: { [constants.ZSTD_c_compressionLevel]: 9 } })
}

function unpack(item: Row): string {
  if (!(item.result instanceof Uint8Array)) throw new CodedError('internal', { field: 'result' })
  return zstdDecompressSync(item.result).toString('utf8')
}
