/**
 * Whether what was done, and refused, can be found in the audit trail: also of what touches thousands of rows.
 * @module
 */
import { ROUTE_ACTIONS } from '../../../functions/api/audit.ts'
import { type EcgId, fileEcgId } from '../../../shared/domain/ecg-id.ts'
import type { AuditEntry } from '../../../shared/observe/audit.ts'
import type { Attack } from './attack.ts'
import { type Asked, aDrawing, forEach, OTHER, OWNER, until, type World } from './world.ts'

const kind = 'audit'

/** API Gateway limits a function to 29 s, so the caller must not wait for all rows. */
const LIMIT_MS = 10_000

const DAY_MS = 24 * 3600 * 1000

async function entriesOf({ audit }: World, tenant: string): Promise<readonly AuditEntry[]> {
  const entries: AuditEntry[] = []
  const now = Date.now()
  for await (const entry of audit.entries({ tenant, since: new Date(now - DAY_MS), until: new Date(now) })) {
    entries.push(entry)
  }
  return entries
}

const outcomesOf = (entries: readonly AuditEntry[], sub: string, action: string) =>
  entries.filter((entry) => entry.subject === sub && entry.action === action).map(({ outcome }) => outcome)

const patterns = Object.keys(ROUTE_ACTIONS).map((route) => {
  const [method = '', pathname = ''] = route.split(' ')
  return { method, pattern: new URLPattern({ pathname }) }
})

/** Whether a request was one that touches ECGs. */
function isAudited({ method, path }: Asked): boolean {
  const { pathname } = new URL(path, 'http://x')
  // A poll for news without an answer has read nothing.
  if (pathname === '/v1/events') return false
  return patterns.some((route) => route.method === method && route.pattern.test({ pathname }))
}

async function timed(act: () => Promise<{ status: number }>): Promise<string> {
  const startedMs = performance.now()
  const { status } = await act()
  const ms = performance.now() - startedMs
  return ms <= LIMIT_MS ? String(status) : `${status} after ${Math.round(ms)} ms`
}

export const AUDIT_ATTACKS: readonly Attack[] = [
  {
    kind,
    name: 'deletion of an ECG with thousands of jobs',
    expected: '204, then 404 404, noted: begun done, jobs removed',
    async run(world) {
      const deleter = { tenant: OWNER, sub: 'deleter' }
      const ecgId = await world.screened(deleter, 'normal')
      const seeds = Array.from({ length: world.size.jobs }, (_, seed) => seed)
      await forEach(seeds, 50, (seed) => world.jobs.submit(OWNER, aDrawing(ecgId, seed), new Date()))
      const path = `/v1/ecgs/${ecgId}`
      const deleted = await timed(() => world.ask(deleter, path, { method: 'DELETE' }))
      const after = [await world.ask(deleter, path), await world.ask(deleter, `${path}/waveform`)]
      const outcomes = outcomesOf(await entriesOf(world, OWNER), 'deleter', 'ecg.delete')
      await until('the removal of the jobs', async () => {
        for await (const page of world.jobs.pagesOfEcg(OWNER, ecgId)) if (page.length > 0) return false
        return true
      })
      const statuses = after.map(({ status }) => status).join(' ')
      return `${deleted}, then ${statuses}, noted: ${outcomes.join(' ')}, jobs removed`
    },
  },
  {
    kind,
    name: 'an association that releases thousands of waiting results',
    expected: '200, noted: begun done, none waits',
    async run(world) {
      const associator = { tenant: OWNER, sub: 'associator' }
      const device = 'full-ward'
      const at = new Date('2026-02-03T04:05:06Z')
      const ecgIds = Array.from({ length: world.size.waiting }, (_, index) =>
        fileEcgId({ tenant: OWNER, sha256: `w${index}` }),
      )
      const origin = { kind: 'upload', device } as const
      await forEach(ecgIds, 50, (ecgId: EcgId) =>
        world.associations.markUnidentified(OWNER, { device, at, ecgId, origin }),
      )
      const body = JSON.stringify({ patient: await world.newPatient(), from: '2026-01-01T00:00:00Z' })
      const init = { method: 'PUT', headers: { 'content-type': 'application/json' }, body }
      const answered = await timed(() => world.ask(associator, `/v1/devices/${device}/association`, init))
      const outcomes = outcomesOf(await entriesOf(world, OWNER), 'associator', 'association.write')
      await until('an empty list', async () => {
        const { items } = await world.associations.unidentified(OWNER, { limit: 1, device })
        return items.length === 0
      })
      return `${answered}, noted: ${outcomes.join(' ')}, none waits`
    },
  },
  {
    kind,
    name: 'every request of an authenticated caller, with an audit entry whether refused or not',
    expected: 'none is missing',
    async run(world) {
      const noted = new Set<string>()
      for (const tenant of [OWNER, OTHER]) {
        for (const { traceId, outcome } of await entriesOf(world, tenant)) if (outcome !== 'begun') noted.add(traceId)
      }
      const asked = world.asked.filter(isAudited)
      const missing = asked.filter(({ traceId }) => !noted.has(traceId))
      if (missing.length === 0 && asked.length > 0) return 'none is missing'
      const { method, path, status } = missing[0]!
      return `${missing.length} of ${asked.length} are missing, such as ${method} ${path} (${status})`
    },
  },
]
