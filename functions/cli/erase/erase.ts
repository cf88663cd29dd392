/**
 * Erases a patient: what is found is deleted, looked for once more, and put down in a receipt that names nobody.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto'
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { hasEcgObjects } from '../../../shared/aws/payloads.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import type { AuditOutcome } from '../../../shared/observe/audit-actions.ts'
import type { AuditStore } from '../../../shared/store/audit.ts'
import { deleteEcg, type EcgDeletion } from '../../../shared/store/ecg-deletion.ts'
import { headKey, type SessionKey, sessionPk, WINDOWS } from '../../../shared/store/keys.ts'
import { Table } from '../../../shared/store/table.ts'
import type { DeviceSpan } from './find.ts'

export interface ErasureParts extends EcgDeletion {
  readonly dynamo: DynamoDBClient
  readonly table: string
  readonly audit: Pick<AuditStore, 'append'>
}

/** What is to go. */
export interface Erasure {
  readonly tenant: string
  /** Absent where ECGs or spans were named. */
  readonly patient?: string | undefined
  readonly spans: readonly DeviceSpan[]
  readonly ecgIds: readonly EcgId[]
  /** Other tenants whose devices may be on the EHR's patients, and so on this one. */
  readonly otherTenants?: readonly string[]
  /** Who has it done. */
  readonly by: string
  readonly now: Date
}

/** What this command does not reach, and when it is gone by itself; `null`: never, or nobody here knows. */
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
  /** sha256 of salt and reference: with the reference, anyone can check that this is its receipt. */
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
  /** ECGs of which something was there still when it was looked for again. */
  readonly left: readonly EcgId[]
  readonly notCovered: readonly NotCovered[]
}

const DAY_MS = 24 * 3600 * 1000

/** What SQS and DynamoDB keep (`cdk/constructs/queue.ts`; point-in-time recovery). */
const QUEUE_DAYS = 4
const DLQ_DAYS = 14
const BACKUP_DAYS = 35

/** An entry of the audit trail names so many at most. */
const ECGS_AN_ENTRY = 50

/**
 * Deletes, verifies and says what was done. Associations go last, for by them the ECGs are found: one that was broken off is begun again, and finds what
 * is left.
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
    // Before, not only after: what nobody could note is not done.
    await note('begun')
    for (const ecgId of some) {
      const origin = (await parts.results.judged(tenant, ecgId))?.origin
      if (origin?.kind === 'mqtt') {
        const key = { tenant, device: origin.device, session: origin.session }
        // While the ECG is there: by it the session is found.
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

/** Takes a patient out of what a live session has reported. @returns whether there was such a session */
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

/** Removes the state of a session of which no window is left. */
async function removeEmpty({ dynamo, table }: ErasureParts, key: SessionKey): Promise<void> {
  const rows = new Table(dynamo, table)
  if (!(await rows.has(sessionPk(key), WINDOWS))) await rows.delete(headKey(key))
}

/** Looks once more, as nobody who deletes should take its word for it. */
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
