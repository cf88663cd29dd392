/**
 * Erases a patient's data: deletes what was found, verifies the deletion, and writes a receipt that names nobody.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { hasEcgObjects } from '../../../shared/aws/payloads.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import type { AuditOutcome } from '../../../shared/observe/audit-actions.ts'
import type { DeviceSpan } from '../../../shared/store/associations.ts'
import type { AuditStore } from '../../../shared/store/audit.ts'
import { deleteEcg, type EcgDeletion } from '../../../shared/store/ecg-deletion.ts'
import { headKey, type SessionKey, sessionPk, WINDOWS } from '../../../shared/store/keys.ts'
import { Table } from '../../../shared/store/table.ts'

export interface ErasureParts extends EcgDeletion {
  readonly dynamo: DynamoDBClient
  readonly table: string
  readonly audit: Pick<AuditStore, 'append'>
}

/** What is to be erased. */
export interface Erasure {
  readonly tenant: string
  /** Absent when ECGs or spans were named instead. */
  readonly patient?: string | undefined
  readonly spans: readonly DeviceSpan[]
  readonly ecgIds: readonly EcgId[]
  /** Other tenants whose devices may have been on the EHR's patients, including this one. */
  readonly otherTenants?: readonly string[]
  /** Who ordered the erasure. */
  readonly by: string
  readonly now: Date
}

/** Data that this command does not reach, and when it expires; `null`: never, or unknown here. */
export interface NotCovered {
  readonly what: string
  readonly goneBy: string | null
}

export interface Receipt {
  readonly schema: 1
  readonly kind: 'erasure'
  readonly id: string
  readonly at: string
  readonly by: string
  readonly tenant: string
  /** SHA-256 of salt and reference. Anyone with the reference can verify that the receipt belongs to it. */
  readonly patient: { readonly salt: string; readonly sha256: string } | null
  readonly spans: readonly { readonly device: string; readonly from: string; readonly to: string | null }[]
  readonly ecgIds: readonly EcgId[]
  readonly removed: {
    readonly ecgs: number
    readonly rows: number
    readonly objectVersions: number
    readonly jobs: number
    readonly associations: number
    readonly sessions: number
  }
  /** ECGs that still had data when they were checked again. */
  readonly left: readonly EcgId[]
  readonly notCovered: readonly NotCovered[]
}

const DAY_MS = 24 * 3600 * 1000

/** Retention of SQS and DynamoDB, days (`cdk/constructs/queue.ts`; point-in-time recovery). */
const QUEUE_DAYS = 4
const DLQ_DAYS = 14
const BACKUP_DAYS = 35

/** Most ECGs in one entry of the audit trail. */
const ECGS_AN_ENTRY = 50

/**
 * Deletes, verifies and reports. Associations are removed last, because the ECGs are found through them: an interrupted erasure can be
 * started again and finds what is left.
 */
export async function erase(parts: ErasureParts, erasure: Erasure): Promise<Receipt> {
  const { tenant, patient, spans, ecgIds, otherTenants = [], by, now } = erasure
  const id = randomUUID()
  const removed = { ecgs: 0, rows: 0, objectVersions: 0, jobs: 0, associations: 0, sessions: 0 }
  const sessions = new Map<string, SessionKey>()
  for (let at = 0; at < ecgIds.length; at += ECGS_AN_ENTRY) {
    const some = ecgIds.slice(at, at + ECGS_AN_ENTRY)
    const note = (outcome: AuditOutcome) =>
      parts.audit.append({
        at: new Date(),
        tenant,
        action: 'patient.erase',
        outcome,
        subject: by,
        ecgIds: some,
        traceId: id.replaceAll('-', ''),
      })
    // Recorded before the deletion as well as after it: what cannot be recorded is not done.
    await note('begun')
    for (const ecgId of some) {
      const origin = (await parts.results.judged(tenant, ecgId))?.origin
      if (origin?.kind === 'mqtt') {
        const key = { tenant, device: origin.device, session: origin.session }
        // While the ECG exists, because the session is found through it.
        if (!sessions.has(sessionPk(key)) && (await forgetPatient(parts, key, patient))) removed.sessions++
        sessions.set(sessionPk(key), key)
      }
      const gone = await deleteEcg(parts, tenant, ecgId)
      if (gone === undefined) continue
      removed.ecgs++
      removed.rows += gone.rows
      removed.objectVersions += gone.objectVersions
      removed.jobs += gone.jobs
    }
    await note('done')
  }
  for (const key of sessions.values()) await removeEmpty(parts, key)
  if (patient !== undefined) {
    for (const device of new Set(spans.map((span) => span.device))) {
      removed.associations += await parts.associations.forget(tenant, device, patient)
    }
    await parts.associations.forgetDevicesOf(tenant, patient)
  }
  return {
    schema: 1,
    kind: 'erasure',
    id,
    at: now.toISOString(),
    by,
    tenant,
    patient: patient === undefined ? null : saltedHash(patient),
    spans: spans.map(({ device, from, to }) => ({ device, from: from.toISOString(), to: to?.toISOString() ?? null })),
    ecgIds,
    removed,
    left: await leftOf(parts, tenant, ecgIds),
    notCovered: notCovered(now, otherTenants),
  }
}

/**
 * Removes a patient from what a live session has reported.
 * @returns whether there was such a session
 */
async function forgetPatient(
  { dynamo, table }: ErasureParts,
  key: SessionKey,
  patient: string | undefined,
): Promise<boolean> {
  const rows = new Table(dynamo, table)
  const head = await rows.get(headKey(key))
  if (head !== undefined && patient !== undefined && Object.hasOwn(head.reported ?? {}, patient)) {
    await rows.update(headKey(key), { remove: [['reported', patient]] })
  }
  return head !== undefined
}

/** Removes the state of a session without windows. */
async function removeEmpty({ dynamo, table }: ErasureParts, key: SessionKey): Promise<void> {
  const rows = new Table(dynamo, table)
  if (!(await rows.has(sessionPk(key), WINDOWS))) await rows.delete(headKey(key))
}

/** Checks again what is left, independently of the deletion. */
async function leftOf({ results, jobs, s3, bucket }: ErasureParts, tenant: string, ecgIds: readonly EcgId[]) {
  const left: EcgId[] = []
  for (const ecgId of ecgIds) {
    const isThere =
      (await results.hasRows(tenant, ecgId)) ||
      (await jobs.ofEcg(tenant, ecgId)).length > 0 ||
      (await hasEcgObjects(s3, bucket, tenant, ecgId))
    if (isThere) left.push(ecgId)
  }
  return left
}

function saltedHash(patient: string, salt: string = randomUUID()) {
  return { salt, sha256: createHash('sha256').update(`${salt}${patient}`).digest('hex') }
}

function notCovered(now: Date, otherTenants: readonly string[]): readonly NotCovered[] {
  const after = (days: number) => new Date(now.getTime() + days * DAY_MS).toISOString()
  return [
    ...otherTenants.map((tenant) => ({
      what: `ECGs of the same patient under the tenant ${tenant}: run again with --tenant ${tenant}`,
      goneBy: null,
    })),
    {
      what: "the EHR's own copy: ECGs there, and the reports and cines that were written into the chart",
      goneBy: null,
    },
    { what: 'windows on their way in queues; run again with --again and this receipt then', goneBy: after(QUEUE_DAYS) },
    { what: 'messages in dead-letter queues, and what redrive makes of them; run again then', goneBy: after(DLQ_DAYS) },
    {
      what: "backups of the table (point-in-time recovery): a restored one needs this receipt's ids deleted",
      goneBy: after(BACKUP_DAYS),
    },
    { what: "what an adapter's journal or a device still holds; run again when it has been sent", goneBy: null },
    {
      what: 'uploads without a device, and ECGs under another reference: nothing here says whose they are',
      goneBy: null,
    },
    { what: 'the audit trail, which names ECGs by id; marks that keep deleted ECGs from coming back', goneBy: null },
  ]
}
