/**
 * Associations: which patient a device was on, and when; and the results that wait for an association.
 *
 * One row holds all associations of a device, so that one conditional write prevents overlaps.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import * as z from 'zod'
import type { EcgId } from '../domain/ecg-id.ts'
import { CodedError } from '../errors.ts'
import { Origin } from '../messages.ts'
import {
  associationsKey,
  deviceKey,
  devicesPk,
  LAST,
  patientPk,
  WAITING_SK_FORMAT,
  waitingOf,
  waitingPk,
  waitingSk,
} from './keys.ts'
import { IS_NEW, type Row, Table } from './table.ts'

/** A device is on one patient from `from` (inclusive) to `to` (exclusive); without `to`, until further notice. */
export interface Association {
  /** A FHIR reference such as `Patient/123`. */
  readonly patient: string
  readonly from: Date
  readonly to?: Date | undefined
}

/** A patient, and when a device was on that patient. */
export interface PatientSpans {
  readonly patient: string
  readonly spans: readonly Pick<Association, 'from' | 'to'>[]
}

/** A time span of a device, from `from` (inclusive) to `to` (exclusive). */
export interface DeviceSpan {
  readonly device: string
  readonly from: Date
  readonly to?: Date | undefined
}

/** A result whose patient is not known yet. */
export interface Unidentified {
  readonly device: string
  /** When the ECG was recorded; its patient is looked up by this time. */
  readonly at: Date
  readonly ecgId: EcgId
  /** Origin in its `ResultMessage`, so that the result can be passed to the report again. */
  readonly origin: Origin
}

export interface UnidentifiedPage {
  readonly items: readonly Unidentified[]
  /** Pass as `after` for the next page; absent on the last. */
  readonly next?: string
}

/** Most associations per device. They stay below DynamoDB's 400 KB per item: ten a day for over a year. */
const MAX_ASSOCIATIONS = 4000

/** Most attempts when writers of one device conflict. Each failed attempt means that another writer succeeded. */
const MAX_TRIES = 10

const Stored = z.object({
  version: z.number(),
  spans: z.array(z.object({ patient: z.string(), from: z.number(), to: z.number().optional() })),
})
type Stored = z.infer<typeof Stored>

export class AssociationStore {
  readonly #table: Table

  constructor(dynamo: DynamoDBClient, table: string) {
    this.#table = new Table(dynamo, table)
  }

  /** The patient that a device was on at a time, or `undefined`. */
  async patientOf(tenant: string, device: string, at: Date): Promise<string | undefined> {
    return (await this.patientsOf(tenant, device))(at)
  }

  /** The patient that a device was assigned to at a time, and each span of time of this assignment. `undefined` without an assignment. */
  async associationAt(tenant: string, device: string, at: Date): Promise<PatientSpans | undefined> {
    const { spans } = await this.#read(tenant, device)
    const patient = patientAt(spans, at)
    if (patient === undefined) return undefined
    return { patient, spans: spans.filter((span) => span.patient === patient).map(datesOf) }
  }

  /** Looks up a device's patient at any time, from one read. For a session, which may move from one patient to another. */
  async patientsOf(tenant: string, device: string): Promise<(at: Date) => string | undefined> {
    const { spans } = await this.#read(tenant, device)
    return (at) => patientAt(spans, at)
  }

  /**
   * Stores an association. One with the same `from` is replaced, which is how an association is ended or corrected.
   * @throws CodedError `association-overlap` when the device is on another patient in that time, `field-invalid` when it ends before it
   * begins, `payload-too-large` when the device has too many associations, `unavailable` when other writers keep coming first
   */
  async put(tenant: string, device: string, { patient, from, to }: Association): Promise<void> {
    const span = { patient, from: from.getTime(), to: to?.getTime() }
    if (span.to !== undefined && span.to <= span.from) throw new CodedError('field-invalid', { field: 'to' })
    // Written first: `erase` finds the devices of a patient through this list.
    await this.#table.put(deviceKey(tenant, device))
    // Also first, so that no association is missing from its patient's list. A device too many in it has no spans.
    await this.#table.put({ pk: patientPk(tenant, patient), sk: device })
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { version, spans } = await this.#read(tenant, device)
      const others = spans.filter((other) => other.from !== span.from)
      if (others.some((other) => overlap(other, span))) throw new CodedError('association-overlap', { field: 'from' })
      if (others.length >= MAX_ASSOCIATIONS) {
        throw new CodedError('payload-too-large', { field: 'device', maxAssociations: MAX_ASSOCIATIONS })
      }
      if (await this.#write(tenant, device, version, [...others, span])) return
    }
    throw new CodedError('unavailable', { field: 'device' })
  }

  /** Devices that have ever had an association. */
  async devices(tenant: string): Promise<readonly string[]> {
    const rows = await Array.fromAsync(this.#table.rows(devicesPk(tenant)))
    return rows.map(({ sk }) => String(sk))
  }

  /** The times when a device was on a patient. */
  async spansOf(tenant: string, device: string, patient: string): Promise<readonly Pick<Association, 'from' | 'to'>[]> {
    const { spans } = await this.#read(tenant, device)
    return spans.filter((span) => span.patient === patient).map(datesOf)
  }

  /** The times when any device was on a patient, as far as they were stored since this list exists. */
  async spansOfPatient(tenant: string, patient: string): Promise<readonly DeviceSpan[]> {
    const rows = await Array.fromAsync(this.#table.rows(patientPk(tenant, patient)))
    const spans = rows.map(async ({ sk }) => {
      const device = String(sk)
      return (await this.spansOf(tenant, device, patient)).map((span) => ({ device, ...span }))
    })
    return (await Promise.all(spans)).flat()
  }

  /** Removes a patient's list of devices. Their associations are removed with `forget` before. */
  async forgetDevicesOf(tenant: string, patient: string): Promise<void> {
    for await (const { sk } of this.#table.rows(patientPk(tenant, patient))) {
      await this.#table.delete({ pk: patientPk(tenant, patient), sk: String(sk) })
    }
  }

  /**
   * Removes the associations of a device with a patient.
   * @returns number of associations that were removed
   * @throws CodedError `unavailable` when other writers keep coming first
   */
  async forget(tenant: string, device: string, patient: string): Promise<number> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { version, spans } = await this.#read(tenant, device)
      const others = spans.filter((span) => span.patient !== patient)
      if (others.length === spans.length) return 0
      if (await this.#write(tenant, device, version, others)) return spans.length - others.length
    }
    throw new CodedError('unavailable', { field: 'device' })
  }

  /**
   * The patient of a result if known; otherwise the result is put on the waiting list. Safe against an association that is stored at the
   * same moment. A caller that gets a patient reports the result and then calls `markReported`.
   */
  async patientOrWait(tenant: string, result: Unidentified): Promise<string | undefined> {
    const known = await this.patientOf(tenant, result.device, result.at)
    if (known !== undefined) return known
    await this.markUnidentified(tenant, result)
    return this.patientOf(tenant, result.device, result.at)
  }

  /** Puts a result on the waiting list. Doing it twice has no further effect. */
  async markUnidentified(tenant: string, { origin, ...result }: Unidentified): Promise<void> {
    await this.#table.put({ ...waitingKey(tenant, result), origin })
  }

  /** Removes a result from the waiting list. A result that is not on the list is not an error. */
  async markReported(tenant: string, result: Pick<Unidentified, 'device' | 'at' | 'ecgId'>): Promise<void> {
    await this.#table.delete(waitingKey(tenant, result))
  }

  /** Removes every entry of an ECG from the waiting list. An ECG without a recording time has one entry for each time that it arrived. */
  async forgetWaiting(tenant: string, device: string, ecgId: EcgId): Promise<void> {
    for await (const waiting of this.waitingFor(tenant, device, { from: new Date(0), to: undefined })) {
      if (waiting.ecgId === ecgId) await this.markReported(tenant, waiting)
    }
  }

  /**
   * The waiting list, by device and time.
   * @throws CodedError `field-invalid` for a cursor that is not ours
   */
  async unidentified(
    tenant: string,
    { limit, after, device }: { limit: number; after?: string | undefined; device?: string | undefined },
  ): Promise<UnidentifiedPage> {
    const [first, last] = device === undefined ? ['!', LAST] : [`${device}#`, `${device}#${LAST}`]
    const start = after === undefined ? first : `${parseCursor(after)}${LAST}`
    const { items, lastKey } = await this.#waiting(tenant, start < first ? first : start, last, limit)
    return { items, ...(lastKey === undefined ? {} : { next: Buffer.from(lastKey).toString('base64url') }) }
  }

  /**
   * Waiting results of a device that were recorded from `from` (inclusive) to `to` (exclusive): those that an association releases.
   * @param after continues after this result
   */
  async *waitingFor(
    tenant: string,
    device: string,
    { from, to }: Pick<Association, 'from' | 'to'>,
    after?: Pick<Unidentified, 'at' | 'ecgId'>,
  ): AsyncGenerator<Unidentified> {
    // Excludes `to` itself: a longer key with this prefix sorts after it.
    const last = `${device}#${to === undefined ? LAST : to.toISOString()}`
    let start: string | undefined =
      after === undefined
        ? `${device}#${from.toISOString()}`
        : `${device}#${after.at.toISOString()}#${after.ecgId}${LAST}`
    while (start !== undefined) {
      const { items, lastKey } = await this.#waiting(tenant, start, last)
      yield* items
      start = lastKey === undefined ? undefined : `${lastKey}${LAST}`
    }
  }

  async #waiting(tenant: string, start: string, last: string, limit?: number) {
    if (start > last) return { items: [], lastKey: undefined }
    const { rows, next } = await this.#table.page(waitingPk(tenant), { from: start, to: last }, { limit })
    return { items: rows.map(toUnidentified), lastKey: next === undefined ? undefined : String(next.sk) }
  }

  async #read(tenant: string, device: string): Promise<Stored> {
    const row = await this.#table.get(associationsKey(tenant, device))
    return row === undefined ? { version: 0, spans: [] } : Stored.parse(row)
  }

  /** @returns false when another writer came first */
  #write(tenant: string, device: string, version: number, spans: Stored['spans']): Promise<boolean> {
    const row = { ...associationsKey(tenant, device), version: version + 1, spans }
    return this.#table.putIf(row, version === 0 ? IS_NEW : { expression: '#version = :version', values: { version } })
  }
}

type Span = Stored['spans'][number]

const datesOf = ({ from, to }: Span) => ({ from: new Date(from), to: to === undefined ? undefined : new Date(to) })

function patientAt(spans: readonly Span[], at: Date): string | undefined {
  const time = at.getTime()
  return spans.find(({ from, to = Number.POSITIVE_INFINITY }) => from <= time && time < to)?.patient
}

function overlap(a: Span, b: Span): boolean {
  const { from: aFrom, to: aTo = Number.POSITIVE_INFINITY } = a
  const { from: bFrom, to: bTo = Number.POSITIVE_INFINITY } = b
  return aFrom < bTo && bFrom < aTo
}

const waitingKey = (tenant: string, { device, at, ecgId }: Pick<Unidentified, 'device' | 'at' | 'ecgId'>) => ({
  pk: waitingPk(tenant),
  sk: waitingSk(device, at, ecgId),
})

/** A cursor is the key of the last item shown; it does not contain the tenant. */
function parseCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!WAITING_SK_FORMAT.test(key)) throw new CodedError('field-invalid', { field: 'after' })
  return key
}

const toUnidentified = ({ sk, origin }: Row): Unidentified => ({ ...waitingOf(sk), origin: Origin.parse(origin) })
