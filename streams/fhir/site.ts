/**
 * A site's EHR, from its configuration.
 * @module
 */
import { readSecret } from '../../shared/aws/secrets.ts'
import type { EhrConfig } from '../../shared/site-config.ts'
import { createEhrClient, type EhrClient } from './client.ts'
import { type KeySet, parseKeySet } from './keys.ts'

/**
 * @throws CodedError `site-config-invalid`; a key that cannot be read shows with the first call
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

/** Our key set at this EHR; none where it asks for no token. */
export async function keySetOfSite({ auth }: EhrConfig): Promise<KeySet | undefined> {
  return auth.kind === 'none' ? undefined : readKeySet(auth)
}

async function readKeySet(auth: Extract<EhrConfig['auth'], { kind: 'smart-backend' }>): Promise<KeySet> {
  return parseKeySet(await readSecret(auth.key, 'site.ehr.auth.key'), auth.keyId, auth.algorithm)
}
