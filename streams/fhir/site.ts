/**
 * A site's EHR, from the site's configuration.
 * @module
 */
import { readSecret } from '../../shared/aws/secrets.ts'
import type { EhrConfig } from '../../shared/config/site.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import { createEhrClient, type EhrClient } from './client.ts'
import { createFhirEndpoint } from './endpoint.ts'
import { type KeySet, parseKeySet } from './keys.ts'

/**
 * Makes the client of a site's EHR.
 * @throws CodedError `site-config-invalid`; an unreadable key is reported by the first call
 * @example
 * const { ehr } = readSiteConfig()
 * if (ehr !== undefined) await ehrOfSite(ehr).read('Observation/123')
 */
export function ehrOfSite({ baseUrl, auth, timeoutMs }: EhrConfig): EhrClient {
  return createEhrClient({
    baseUrl,
    transport: { timeoutMs },
    ...(auth.kind === 'none' ? {} : { smart: { ...auth, key: async () => (await readKeySet(auth)).signing } }),
  })
}

/** Our key set for this EHR; `undefined` when it requires no token. */
export async function keySetOfSite({ auth }: EhrConfig): Promise<KeySet | undefined> {
  return auth.kind === 'none' ? undefined : readKeySet(auth)
}

async function readKeySet(auth: Extract<EhrConfig['auth'], { kind: 'smart-backend' }>): Promise<KeySet> {
  return parseKeySet(await readSecret(auth.key, 'site.ehr.auth.key'), auth.keyId, auth.algorithm)
}

/** A changed secret takes effect everywhere after this time. */
const SECRET_AGE_MS = 60_000

/**
 * Our endpoint for this EHR. Without a `subscription` in the configuration it accepts no notification.
 * @param enqueue resolves when the messages are stored safely
 */
export function endpointOfSite(ehr: EhrConfig, enqueue: (messages: readonly FhirInboundMessage[]) => Promise<void>) {
  const { subscription, tenant, baseUrl } = ehr
  return createFhirEndpoint({
    tenant,
    baseUrl: baseUrl.replace(/\/$/, ''),
    secret: remembered(SECRET_AGE_MS, async () => (subscription === undefined ? '' : secretOf(subscription))),
    jwks: remembered(SECRET_AGE_MS, async () => (await keySetOfSite(ehr))?.jwks),
    enqueue,
  })
}

/** The secret that the EHR must send with each notification. */
export function secretOf({ secret }: NonNullable<EhrConfig['subscription']>): Promise<string> {
  return readSecret(secret, 'site.ehr.subscription.secret')
}

/** Caches a value for `ageMs`; a failure is not cached. */
function remembered<T>(ageMs: number, read: () => Promise<T>): () => Promise<T> {
  let kept: { value: T; untilMs: number } | undefined
  return async () => {
    if (kept === undefined || Date.now() >= kept.untilMs) kept = { value: await read(), untilMs: Date.now() + ageMs }
    return kept.value
  }
}
