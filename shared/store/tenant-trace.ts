/**
 * What may have been reported for a tenant: its ECGs and live sessions, with the patients that its devices were on, and ECGs that were
 * corrected after a cine was drawn. Each reads the whole results table once. An operator uses it, rarely, to find reports that should not
 * exist; no function does.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { type EcgId, parseEcgId, sessionSummaryId } from '../domain/ecg-id.ts'
import { isResultKey, ownEcgId } from './keys.ts'
import { type Row, Table } from './table.ts'

/** Trace of one tenant. */
export interface TenantTrace {
  readonly tenant: string
  /** ECGs of uploads and of the EHR. Includes ECGs that were deleted here, because their reports may still exist. */
  readonly ecgIds: readonly EcgId[]
  /** Ids of possible session summaries per patient (`sessionSummaryId`). */
  readonly summaryIds: readonly string[]
}

/** Traces of all tenants in the table, configured or not, except these. */
export async function tracesBut(
  dynamo: DynamoDBClient,
  table: string,
  tenants: ReadonlySet<string>,
): Promise<readonly TenantTrace[]> {
  const found = new Map<string, Found>()
  const attributes = ['pk', 'sk', 'device', 'session', 'spans', 'reported']
  for await (const row of new Table(dynamo, table).scan(attributes)) {
    const [tenant = '', ...rest] = String(row.pk).split('#') // no name contains a `#`
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

/** ECGs of a tenant that have a newer version than one of their drawings. */
export interface Redrawable {
  readonly tenant: string
  /** Newest version of each. */
  readonly versions: ReadonlyMap<EcgId, number>
}

/** Of all tenants in the table, configured or not: the ECGs that were corrected after a job drew them. */
export async function correctedAfterDrawing(dynamo: DynamoDBClient, table: string): Promise<readonly Redrawable[]> {
  const found = new Map<string, { newest: Map<EcgId, number>; drawn: Map<EcgId, number> }>()
  for await (const row of new Table(dynamo, table).scan(['pk', 'sk', 'ecgId', 'version'])) {
    const isResult = isResultKey(row.sk)
    if (!isResult && row.sk !== 'job') continue
    const [tenant = '', id] = String(row.pk).split('#') // no name contains a `#`
    const of = found.get(tenant) ?? { newest: new Map(), drawn: new Map() }
    found.set(tenant, of)
    const version = Number(row.version ?? 1)
    const ecgId = ownEcgId(isResult ? id : String(row.ecgId))
    if (!isResult) of.drawn.set(ecgId, Math.min(version, of.drawn.get(ecgId) ?? version))
    // Most ECGs have one version. They are not kept in memory.
    else if (version > 1) of.newest.set(ecgId, Math.max(version, of.newest.get(ecgId) ?? version))
  }
  return [...found]
    .map(([tenant, { newest, drawn }]) => ({
      tenant,
      versions: new Map([...newest].filter(([ecgId, version]) => (drawn.get(ecgId) ?? version) < version)),
    }))
    .filter(({ versions }) => versions.size > 0)
    .toSorted((a, b) => a.tenant.localeCompare(b.tenant))
}

interface Found {
  readonly ecgIds: Set<EcgId>
  /** Per device and session: the patients that the session's head row lists as reported. */
  readonly sessions: Map<string, { device: string; session: string; reported: Set<string> }>
  /** Per device: all patients that it was ever assigned to. */
  readonly patients: Map<string, Set<string>>
}

/** @param rest the row's `pk` after the tenant */
function note(of: Found, [first = '', device = '', session = '']: readonly string[], row: Row) {
  const ecgId = parseEcgId(first)
  if (ecgId !== undefined) {
    // A live window is not reported on its own, but with its session.
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
