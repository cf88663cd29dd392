/**
 * The MQTT adapters of the local stack: `streams/mqtt` as processes beside it, one for each task of the template.
 * @module
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { SiteConfig } from '../../shared/config/site.ts'
import type { Broker } from './aws/broker.ts'
import { type Companion, startCompanion } from './companion.ts'
import { CompanionError } from './start-fault.ts'
import { bucketOf, credentialsOf, type Deployment } from './template/plan.ts'

interface AdapterSetup {
  readonly deployment: Deployment
  readonly site: SiteConfig
  /** Of the emulators. */
  readonly env: Readonly<Record<string, string>>
  /** Absent where devices use a broker of their own. */
  readonly broker: Broker | undefined
  readonly mqttUrl: string
  /** Keeps the journals. */
  readonly folder: string
  readonly log: (line: string) => void
  /** Called with each adapter when it was started, before it is waited for. */
  readonly started: (adapter: Companion) => void
}

/** How long the adapter is waited for that connects to another broker than ours. */
const READY_MS = 5000

/**
 * Starts one adapter after the other and waits until each is subscribed.
 * @throws CompanionError when one ends instead
 */
export async function startAdapters(setup: AdapterSetup): Promise<void> {
  if (isServedByIotCore(setup.site)) return
  const { adapters } = setup.deployment
  // A template without one knows of no broker; here there is one.
  const tasks = adapters.length > 0 ? adapters : [{ environment: {}, role: undefined }]
  for (const [index, { environment, role }] of tasks.entries()) {
    const journal = join(setup.folder, index === 0 ? 'journal.db' : `journal-${index}.db`)
    await startAdapter(setup, {
      ...setup.env,
      ...environment,
      ...adapterEnvironment(setup.deployment, setup.mqttUrl, journal, setup.broker !== undefined),
      ...limitsOf(setup.site),
      ...credentialsOf(role),
    })
  }
}

async function startAdapter(
  { broker, log, started }: AdapterSetup,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const subscribed = broker?.subscribed('frames')
  const ready = Promise.withResolvers<void>()
  const adapter = startCompanion({
    script: 'streams/mqtt/main.ts',
    env,
    onLine: (line) => {
      if (line.includes('"message":"adapter ready"')) ready.resolve()
      log(line)
    },
  })
  started(adapter)
  // Another broker may refuse us for long; what we can say of it the adapter's log says.
  await subscription(subscribed ?? Promise.race([ready.promise, pause(READY_MS)]), adapter.ended)
}

/** What `streams/mqtt` reads from its environment, beside the addresses of AWS. */
function adapterEnvironment(
  deployment: Deployment,
  mqttUrl: string,
  journal: string,
  isEmbedded: boolean,
): Readonly<Record<string, string>> {
  const { queueUrls, topicRules } = deployment
  return {
    MQTT_URL: mqttUrl,
    // aedes speaks 3.1.1 only, without shared subscriptions; for another broker the adapter's own default, or what our environment says.
    ...(isEmbedded ? { MQTT_VERSION: '4', MQTT_CONNECTIONS: '1' } : {}),
    INTAKE_QUEUE_URL: queueUrls.intake!,
    INTAKE_DLQ_URL: queueUrls['intake-dlq']!,
    RESULTS_MQTT_QUEUE_URL: queueUrls['results-mqtt']!,
    RAW_BUCKET: bucketOf(deployment),
    JOURNAL_PATH: journal,
    // As there: what a rule takes, the adapter leaves to it.
    ...(isEmbedded && topicRules.some(({ query }) => query.from.endsWith('/window')) ? { MQTT_WINDOWS: 'off' } : {}),
  }
}

/** What the site lets a device ask of its adapter, where it says so. */
function limitsOf({ deployment: { gateway } }: SiteConfig): Readonly<Record<string, string>> {
  return gateway.adapter ? { DEVICE_LIMITS: JSON.stringify(gateway.adapter.limits) } : {}
}

/** Where devices send windows only, which rules take, and a function brings them their results. */
function isServedByIotCore({ deployment: { gateway } }: SiteConfig): boolean {
  return gateway.iotCore && gateway.adapter === undefined
}

/**
 * Waits for the adapter's subscription; without it frames would be lost.
 * @throws CompanionError when it ends instead
 */
async function subscription(subscribed: Promise<unknown>, ended: Companion['ended']): Promise<void> {
  const end = await Promise.race([subscribed.then(() => undefined), ended])
  if (end !== undefined) throw new CompanionError('The MQTT adapter', end)
}
