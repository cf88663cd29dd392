/**
 * Checks the connection to the EHR, with one line per check.
 * @module
 */
import * as z from 'zod'
import type { EhrConfig } from '../../shared/config/site.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { createEhrClient, type EhrClient } from './client.ts'
import { JWKS_PATH, NOTIFICATIONS_PATH, SECRET_HEADER } from './endpoint.ts'
import { ehrOfSite, secretOf } from './site.ts'
import { ourSubscriptions, stateOf } from './subscription.ts'
import { send, TRANSPORT_DEFAULTS } from './transport.ts'

export interface Check {
  readonly name: 'server' | 'token' | 'search' | 'endpoint' | 'subscription'
  readonly isOk: boolean
  readonly says: string
  /** It failed because something is unreachable. */
  readonly isUnreachable?: boolean
}

/** Our URL for the EHR's notifications. */
export function notificationsUrl({ ourUrl }: NonNullable<EhrConfig['subscription']>): string {
  return `${ourUrl.replace(/\/$/, '')}/fhir${NOTIFICATIONS_PATH}`
}

/** Runs the checks from the outside in. Checks that depend on a failed one are left out. */
export async function* checkSite(config: EhrConfig): AsyncGenerator<Check> {
  const server = await attempt('server', () => checkServer(config))
  yield server
  if (!server.isOk) return
  const ehr = ehrOfSite(config)
  if (config.auth.kind !== 'none') {
    const token = await attempt(
      'token',
      async () => {
        // Any call obtains a token; the server may still refuse this call.
        await ehr.search('Observation', { _count: 1 }).catch((error: unknown) => {
          if (!(error instanceof CodedError) || error.code === 'ehr-forbidden' || error.code === 'ehr-refused') return
          throw error
        })
        return 'the EHR takes our key'
      },
      config,
    )
    yield token
    if (!token.isOk) return
  }
  for (const criteria of config.criteria) {
    const [resourceType = '', query = ''] = criteria.split('?')
    yield await attempt(
      'search',
      async () => {
        await ehr.search(resourceType, { ...Object.fromEntries(new URLSearchParams(query)), _count: 1 })
        return criteria
      },
      config,
      criteria,
    )
  }
  const { subscription } = config
  if (subscription === undefined) {
    yield {
      name: 'endpoint',
      isOk: false,
      says: 'there is no site.ehr.subscription: ECGs are found by looking only, every five minutes',
    }
    return
  }
  yield await attempt('endpoint', () => checkEndpoint(subscription), config)
  yield await attempt(
    'subscription',
    async () => {
      if (!(await knowsSubscriptions(ehr)))
        throw new Trouble('the EHR has none: ECGs are found by looking only, every five minutes')
      const states = (await ourSubscriptions(ehr, notificationsUrl(subscription))).map(stateOf)
      const missing = config.criteria.filter((each) => !states.some(({ criteria }) => criteria === each))
      const bad = states.find(({ status }) => status !== 'active')
      if (bad !== undefined)
        throw new Trouble(
          `${bad.criteria} is ${bad.status}${bad.error === undefined ? '' : ` (${bad.error})`}: run \`fhir subscribe\` again`,
        )
      if (missing.length > 0) throw new Trouble(`none for ${missing.join(', ')}: run \`fhir subscribe\``)
      return `${states.length} active`
    },
    config,
  )
}

/** A fault, in words. */
class Trouble extends Error {
  override readonly name = 'Trouble'
}

const Capabilities = z.object({
  resourceType: z.literal('CapabilityStatement'),
  fhirVersion: z.string(),
  rest: z.array(z.object({ resource: z.array(z.object({ type: z.string() })).default([]) })).default([]),
})

/** Without a token: a server's capabilities are public (SMART requires that). */
async function checkServer({ baseUrl, timeoutMs }: EhrConfig): Promise<string> {
  const statement = Capabilities.safeParse(await createEhrClient({ baseUrl, transport: { timeoutMs } }).capabilities())
  if (!statement.success) throw new Trouble('answers, but not as a FHIR server: is site.ehr.baseUrl its base?')
  const { fhirVersion } = statement.data
  if (!fhirVersion.startsWith('4.')) throw new Trouble(`FHIR ${fhirVersion}: we speak R4 (4.0) and R4B (4.3)`)
  return `FHIR ${fhirVersion}`
}

/** A server that lists its types without Subscription has none; one that lists nothing may have it. */
async function knowsSubscriptions(ehr: EhrClient): Promise<boolean> {
  const statement = Capabilities.safeParse(await ehr.capabilities())
  const types = statement.data?.rest.flatMap(({ resource }) => resource.map(({ type }) => type)) ?? []
  return types.length === 0 || types.includes('Subscription')
}

/** Sends a heartbeat as the EHR would; it has no effect. */
async function checkEndpoint(subscription: NonNullable<EhrConfig['subscription']>): Promise<string> {
  const parameter = [{ name: 'type', valueCode: 'heartbeat' }]
  const body = JSON.stringify({
    resourceType: 'Bundle',
    type: 'history',
    entry: [{ resource: { resourceType: 'Parameters', parameter } }],
  })
  const headers = { 'content-type': 'application/fhir+json', [SECRET_HEADER]: await secretOf(subscription) }
  const url = notificationsUrl(subscription)
  const { status } = await send(
    new URL(url),
    { method: 'POST', headers, body, isRepeatable: true },
    { ...TRANSPORT_DEFAULTS, attempts: 2 },
  )
  if (status === 401)
    throw new Trouble('our endpoint does not take the secret: do both read the same site.ehr.subscription.secret?')
  if (status !== 200)
    throw new Trouble(`our endpoint answers ${status}: is site.ehr.subscription.ourUrl the API's address?`)
  return url
}

async function attempt(
  name: Check['name'],
  check: () => Promise<string>,
  config?: EhrConfig,
  what?: string,
): Promise<Check> {
  try {
    return { name, isOk: true, says: await check() }
  } catch (error) {
    const coded = toCodedError(error)
    const says = error instanceof Trouble ? error.message : inWords(coded, name, config)
    const isUnreachable = coded.code === 'ehr-unavailable'
    return {
      name,
      isOk: false,
      says: what === undefined ? says : `${what}: ${says}`,
      ...(isUnreachable ? { isUnreachable } : {}),
    }
  }
}

function inWords({ code, detail, message }: CodedError, name: Check['name'], config: EhrConfig | undefined): string {
  const who = name === 'endpoint' ? 'our endpoint' : 'the EHR'
  switch (code) {
    case 'ehr-unavailable':
      if (detail.field === 'token')
        return `the token server cannot be reached (${detail.cause ?? `answers ${detail.status}`}): is site.ehr.auth.tokenUrl right?`
      return `${who} cannot be reached (${detail.cause ?? `answers ${detail.status}`})`
    case 'ehr-unauthorized':
      if (detail.field === 'token')
        return `the token server refuses our assertion (${detail.status}): are client id and key registered there? Ours: ${config?.subscription?.ourUrl ?? '…'}/fhir${JWKS_PATH}`
      if (detail.field === 'smart-configuration')
        return 'has no .well-known/smart-configuration: set site.ehr.auth.tokenUrl'
      return `${who} takes no token of ours (401)`
    case 'ehr-forbidden':
      return `the EHR does not let us (403): is the scope enough? Ours: ${config?.auth.kind === 'smart-backend' ? config.auth.scope : 'none'}`
    case 'ehr-refused':
      return `the EHR refuses this (${detail.status})`
    case 'not-found':
      return 'the EHR has no such address (404): is site.ehr.baseUrl its base?'
    case 'ehr-malformed':
      if (detail.field === 'token')
        return 'the token server answers, but not with a token as OAuth has it (access_token, expires_in): it, and not the FHIR server, is at fault'
      if (detail.field === 'smart-configuration')
        return 'the .well-known/smart-configuration names no token_endpoint: set site.ehr.auth.tokenUrl'
      return 'answers, but not as a FHIR server: is site.ehr.baseUrl its base?'
    case 'origin-foreign':
      return 'the token endpoint lies on another origin: name it as site.ehr.auth.tokenUrl'
    default:
      return message
  }
}
