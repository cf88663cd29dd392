/**
 * The MQTT adapters of the local stack: `streams/mqtt` as separate processes, one for each task of the template.
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
  /** Environment for the emulators. */
  readonly env: Readonly<Record<string, string>>
  /** Absent where devices use another broker. */
  readonly broker: Broker | undefined
  readonly mqttUrl: string
  /** Folder of the journals. */
  readonly folder: string
  readonly log: (line: string) => void
  /** Called with each adapter after it was started, before it is ready. */
  readonly started: (adapter: Companion) => void
}

/** How long to wait for an adapter that connects to another broker. */
const READY_MS = 5000

/**
 * Starts the adapters one after another, and waits until each is subscribed.
 * @throws CompanionError when one ends instead
 */
export async function startAdapters(setup: AdapterSetup): Promise<void> {
  if (isServedByIotCore(setup.site)) return
  const { adapters } = setup.deployment
  // A template without an adapter has no broker, but the local stack has one.
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
  // Another broker may refuse us for a long time; details are in the adapter's log.
  await subscription(subscribed ?? Promise.race([ready.promise, pause(READY_MS)]), adapter.ended)
}

/** Environment of `streams/mqtt`, beside the addresses of AWS. */
function adapterEnvironment(
  deployment: Deployment,
  mqttUrl: string,
  journal: string,
  isEmbedded: boolean,
): Readonly<Record<string, string>> {
  const { queueUrls, topicRules } = deployment
  return {
    MQTT_URL: mqttUrl,
    // aedes supports MQTT 3.1.1 only, without shared subscriptions. For another broker, the adapter's default or our environment applies.
    ...(isEmbedded ? { MQTT_VERSION: '4', MQTT_CONNECTIONS: '1' } : {}),
    INTAKE_QUEUE_URL: queueUrls.intake!,
    INTAKE_DLQ_URL: queueUrls['intake-dlq']!,
    RESULTS_MQTT_QUEUE_URL: queueUrls['results-mqtt']!,
    ...(queueUrls.upkeep === undefined ? {} : { UPKEEP_QUEUE_URL: queueUrls.upkeep }),
    RAW_BUCKET: bucketOf(deployment),
    JOURNAL_PATH: journal,
    // As in AWS, the adapter does not receive windows that a rule handles.
    ...(isEmbedded && topicRules.some(({ query }) => query.from.endsWith('/window')) ? { MQTT_WINDOWS: 'off' } : {}),
  }
}

/** The site's limits of devices, if it sets any. */
function limitsOf({ deployment: { gateway } }: SiteConfig): Readonly<Record<string, string>> {
  return gateway.adapter ? { DEVICE_LIMITS: JSON.stringify(gateway.adapter.limits) } : {}
}

/** True where devices send only windows: rules take them, and a function publishes the results. */
function isServedByIotCore({ deployment: { gateway } }: SiteConfig): boolean {
  return gateway.iotCore && gateway.adapter === undefined
}

/**
 * Waits for the adapter's subscription; without it frames would be lost.
 * @throws CompanionError when the adapter ends instead
 */
async function subscription(subscribed: Promise<unknown>, ended: Companion['ended']): Promise<void> {
  const end = await Promise.race([subscribed.then(() => undefined), ended])
  if (end !== undefined) throw new CompanionError('The MQTT adapter', end)
}
