/**
 * Writes an entry of the audit trail for every request about an ECG, refused or not, before the response is sent.
 * @module
 */
import type { Context, MiddlewareHandler } from 'hono'
import { type EcgId, parseCmrJobId, parseEcgId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'
import { NAME_PATTERN } from '../../shared/messages.ts'
import type { AuditEntry } from '../../shared/observe/audit.ts'
import type { AuditAction, AuditOutcome } from '../../shared/observe/audit-actions.ts'
import { currentTrace, newTrace } from '../../shared/observe/tracing.ts'
import type { AuditStore } from '../../shared/store/audit.ts'
import type { AuthVariables } from './auth.ts'
import { refusalOf, respond } from './problem.ts'

/** Action of each route. A test checks that there is no other route. */
export const ROUTE_ACTIONS: Readonly<Record<string, AuditAction>> = {
  'POST /v1/ecgs': 'ecg.upload',
  'GET /v1/ecgs': 'ecg.list',
  'GET /v1/ecgs/:id': 'ecg.read',
  'GET /v1/ecgs/:id/waveform': 'waveform.read',
  'GET /v1/ecgs/:id/subject': 'subject.read',
  'GET /v1/ecgs/:id/model-input': 'model-input.read',
  'POST /v1/ecgs/:id/attribution': 'attribution.request',
  'GET /v1/ecgs/:id/attribution': 'attribution.read',
  'DELETE /v1/ecgs/:id': 'ecg.delete',
  'POST /v1/ecgs/:id/cmr': 'cmr.request',
  'GET /v1/ecgs/:id/cmr': 'cmr.list',
  'GET /v1/cmr/:id': 'cmr.read',
  'DELETE /v1/cmr/:id': 'cmr.cancel',
  'GET /v1/cmr/:id/artifacts/:name': 'artifact.read',
  'PUT /v1/devices/:id/association': 'association.write',
  'GET /v1/unidentified': 'unidentified.list',
  'GET /v1/operations': 'operations.read',
  'POST /v1/operations/redrive': 'messages.redrive',
  'GET /v1/events': 'events.read',
}

const ROUTES = Object.entries(ROUTE_ACTIONS).map(([route, action]) => {
  const [method, path] = route.split(' ') as [string, string]
  return { method, action, pattern: new URLPattern({ pathname: path }) }
})

/** Actions that change stored data. They have two entries: one before the action begins and one when it is done. */
const NOTED_FIRST: readonly AuditAction[] = ['ecg.delete', 'association.write', 'cmr.cancel', 'messages.redrive']

export interface AuditOptions {
  readonly audit: Pick<AuditStore, 'append'>
  /** Called for a request of an unknown caller. It gets no entry, because anybody could fill the table. */
  readonly onStranger: (action: AuditAction, outcome: AuditEntry['outcome']) => void
  /** Called when an entry could not be stored. */
  readonly onLost: (error: unknown, action: AuditAction) => void
}

/** Adds ECGs to the request's audit entry, when the path does not name them. */
export function touch(c: Context<AuthVariables>, ...ecgIds: readonly EcgId[]): void {
  for (const ecgId of ecgIds) c.get('touched').add(ecgId)
}

/** Middleware that stores the audit entry of a request. When that fails, the response is replaced by 503. */
export function auditing({ audit, onStranger, onLost }: AuditOptions): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    const touched = new Set<EcgId>()
    c.set('touched', touched)
    c.set('traceId', (currentTrace() ?? newTrace(true)).traceId)
    await next()
    const route = routeOf(c)
    if (route === undefined) return
    const { action } = route
    const caller = c.get('caller')
    const outcome = refusalOf(c) ?? 'done'
    if (caller === undefined) return onStranger(action, outcome)
    // A poll that found nothing new has read nothing.
    if (action === 'events.read' && outcome === 'done' && touched.size === 0) return
    try {
      await audit.append(entryOf(c, route, outcome))
    } catch (error) {
      onLost(error, action)
      c.res = undefined // otherwise its headers would be kept
      c.res = respond(c, new CodedError('unavailable', { field: 'audit' }))
    }
  }
}

/**
 * Middleware that stores the entry before an action begins, after the caller is authenticated. When that fails, the action does not begin:
 * 503. The entry is also stored for a request that is then refused for its scope or a field; the second entry records that.
 */
export function notingFirst({
  audit,
  onLost,
}: Pick<AuditOptions, 'audit' | 'onLost'>): MiddlewareHandler<AuthVariables> {
  return async (c, next) => {
    const route = routeOf(c)
    if (route !== undefined && NOTED_FIRST.includes(route.action)) {
      await audit.append(entryOf(c, route, 'begun')).catch((error: unknown) => {
        onLost(error, route.action)
        throw new CodedError('unavailable', { field: 'audit' })
      })
    }
    await next()
  }
}

function entryOf(c: Context<AuthVariables>, { action, id }: AuditedRoute, outcome: AuditOutcome): AuditEntry {
  const { tenant, subject } = c.get('caller')
  const ofJob = action === 'cmr.read' || action === 'cmr.cancel' || action === 'artifact.read'
  const asked = id === undefined || ofJob ? undefined : parseEcgId(id)
  return {
    at: new Date(),
    tenant,
    action,
    outcome,
    subject,
    ecgIds: [...new Set([...c.get('touched'), ...(asked === undefined ? [] : [asked])])],
    jobId: ofJob ? jobIdOf(id) : c.get('jobId'),
    device: action === 'association.write' && NAME_PATTERN.test(id ?? '') ? id : undefined,
    traceId: c.get('traceId'),
  }
}

interface AuditedRoute {
  readonly action: AuditAction
  readonly id: string | undefined
}

function routeOf(c: Context): AuditedRoute | undefined {
  // As the router does: a slash at the end is ignored.
  const pathname = c.req.path.length > 1 && c.req.path.endsWith('/') ? c.req.path.slice(0, -1) : c.req.path
  for (const { method, action, pattern } of ROUTES) {
    if (method !== (c.req.method === 'HEAD' ? 'GET' : c.req.method)) continue
    const match = pattern.exec({ pathname })
    if (match !== null) return { action, id: match.pathname.groups.id }
  }
  return undefined
}

const jobIdOf = (id: string | undefined) => (id === undefined ? undefined : parseCmrJobId(id))
