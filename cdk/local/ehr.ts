/**
 * The EHR of the local stack: the sandbox (`cdk/local/sandbox-ehr`) in its own process, and the site configuration for it.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { reportingTenants, SiteConfig } from '../../shared/config/site.ts'
import { notificationsUrl } from '../../streams/fhir/check.ts'
import { ehrOfSite, secretOf } from '../../streams/fhir/site.ts'
import { type Subscribed, subscribe } from '../../streams/fhir/subscription.ts'
import { startCompanion } from './companion.ts'
import { freePort } from './free-port.ts'
import { closeServer, listen } from './http.ts'

export interface LocalEhr {
  /** FHIR R4 base URL. */
  readonly baseUrl: string
  stop(): Promise<void>
}

/** Starts the EHR. Rejects with the system's own error (`EADDRINUSE`) when the port is taken; 0 takes any free one. */
export async function startLocalEhr(port: number, onLine: (line: string) => void): Promise<LocalEhr> {
  const claimed = port === 0 ? await freePort() : await claim(port)
  const ready = Promise.withResolvers<void>()
  const companion = startCompanion({
    script: 'cdk/local/sandbox-ehr/main.ts',
    args: ['--port', String(claimed)],
    env: {},
    onLine: (line) => {
      if (line.startsWith('sandbox EHR: ')) ready.resolve()
      else onLine(line)
    },
  })
  const ended = companion.ended.then(() => Promise.reject(new Error('the sandbox EHR ended before it was ready')))
  await Promise.race([ready.promise, ended])
  ended.catch(() => {}) // after this it is restarted
  return { baseUrl: `http://127.0.0.1:${claimed}/fhir`, stop: companion.stop }
}

/** Listens and closes again, so that a taken port is noticed before the process is started. */
async function claim(port: number): Promise<number> {
  const server = createServer()
  const address = await listen(server, port)
  await closeServer(server)
  return address.port
}

/** The tenant of all data on one machine, where the API does not authenticate. */
export const tenantOf = ({ deployment }: SiteConfig): string => deployment.tenants[0]!

/**
 * A site on one machine: its EHR is the sandbox, everything is reported to it, including simulated values, and sessions are reported soon.
 * @param folder keeps the secret of the EHR's notifications
 */
export function localSite(
  site: SiteConfig,
  ehr: { readonly baseUrl: string; readonly ourUrl: string } | undefined,
  folder: string,
): SiteConfig {
  const { deployment } = site
  if (ehr === undefined) return SiteConfig.parse({ deployment })
  const file = join(folder, 'fhir-secret')
  if (!existsSync(file)) writeFileSync(file, randomUUID(), { mode: 0o600 })
  return SiteConfig.parse({
    deployment,
    ehr: {
      id: 'sandbox',
      tenant: tenantOf(site),
      ...(site.ehr === undefined ? {} : { reportingTenants: [...reportingTenants(site.ehr)] }),
      baseUrl: ehr.baseUrl,
      auth: { kind: 'none' },
      subscription: { secret: { file }, ourUrl: ehr.ourUrl },
    },
    report: { virtual: true, session: { silenceS: 30, sustainedWindows: 3, changeIntervalS: 60 } },
  })
}

/** Subscribes to the EHR's ECGs. Returns the states of the subscriptions. */
export async function subscribeLocally({ ehr }: SiteConfig): Promise<readonly Subscribed[]> {
  if (ehr?.subscription === undefined) return []
  return subscribe(ehrOfSite(ehr), {
    criteria: ehr.criteria,
    endpoint: notificationsUrl(ehr.subscription),
    secret: await secretOf(ehr.subscription),
    payload: 'full',
  })
}
