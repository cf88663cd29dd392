/**
 * What a tenant may have had reported: its ECGs and live sessions with the patients that its devices were on, from one pass over the whole
 * table of results. Rarely asked for, and not by a function: by an operator who looks for reports that should not be.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type EcgId, parseEcgId, sessionSummaryId } from '../domain/ecg-id.ts'
import { type Row, Table } from './table.ts'

/** Of one tenant. */
export interface TenantTrace {
  readonly tenant: string
  /** Of uploads and of the EHR; also those that were deleted here, whose reports may stand all the same. */
  readonly ecgIds: readonly EcgId[]
  /** Names of what live sessions may have said of a patient (`sessionSummaryId`). */
  readonly summaryIds: readonly string[]
}

/** All tenants but these that left anything in the table, configured or not. */
export async function tracesBut(
  dynamo: DynamoDBClient,
  table: string,
  tenants: ReadonlySet<string>,
): Promise<readonly TenantTrace[]> {
  const found = new Map<string, Found>()
  const attributes = ['pk', 'sk', 'device', 'session', 'spans', 'reported']
  for await (const row of new Table(dynamo, table).scan(attributes)) {
    const [tenant = '', ...rest] = String(row.pk).split('#') // no name holds a `#`
    if (tenants.has(tenant)) continue
    const of = found.get(tenant) ?? { ecgIds: new Set(), sessions: new Map(), patients: new Map() }
    found.set(tenant, of)
    note(of, rest, row)
  }
  return [...found]
    .map(([tenant, of]) => ({ tenant, ecgIds: [...of.ecgIds], summaryIds: summariesOf(tenant, of) }))
    .filter(({ ecgIds, summaryIds }) => ecgIds.length + summaryIds.length > 0)
    .toSorted((a, b) => a.tenant.localeCompare(b.tenant))
}

interface Found {
  readonly ecgIds: Set<EcgId>
  /** By device and session: the patients that its head says were reported. */
  readonly sessions: Map<string, { device: string; session: string; reported: Set<string> }>
  /** By device: all that it was ever on. */
  readonly patients: Map<string, Set<string>>
}

/** @param rest of the row's `pk`, behind the tenant */
function note(of: Found, [first = '', device = '', session = '']: readonly string[], row: Row) {
  const ecgId = parseEcgId(first)
  if (ecgId !== undefined) {
    // A live window is not reported by itself, but with its session.
    if (typeof row.device === 'string' && typeof row.session === 'string') sessionOf(of, row.device, row.session)
    else of.ecgIds.add(ecgId)
  } else if (first === 'session') {
    const { reported } = sessionOf(of, device, session)
    for (const patient of Object.keys(row.reported ?? {})) reported.add(patient)
  } else if (first === 'device') {
    const spans: readonly unknown[] = Array.isArray(row.spans) ? row.spans : []
    const patients = spans.map((span) => String((span as { patient?: unknown }).patient)) // as `AssociationStore` wrote it
    of.patients.set(device, new Set(patients))
  }
}

function sessionOf({ sessions }: Found, device: string, session: string) {
  const key = `${device}#${session}`
  const known = sessions.get(key) ?? { device, session, reported: new Set<string>() }
  sessions.set(key, known)
  return known
}

function summariesOf(tenant: string, { sessions, patients }: Found): readonly string[] {
  return [...sessions.values()].flatMap(({ device, session, reported }) =>
    [...new Set([...reported, ...(patients.get(device) ?? [])])].map((patient) =>
      sessionSummaryId({ tenant, device, session, patient }),
    ),
  )
}
