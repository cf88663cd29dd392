/**
 * The synthesized template on one machine: its queues, topic and bucket in fauxqs, its table in dynalite, its Lambdas' bundles in child
 * processes, its HTTP API and an MQTT broker on 127.0.0.1, and the MQTT adapter beside them.
 * @module
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { SQSClient } from '@aws-sdk/client-sqs'
import { FRONT_HEADER } from '../../shared/config/deployment.ts'
import { parseSiteConfig, type SiteConfig } from '../../shared/config/site.ts'
import { forThisMachine } from '../../shared/loopback.ts'
import { STACK_NAME } from '../stack-name.ts'
import { startBatch } from './aws/batch.ts'
import { type Broker, startBroker } from './aws/broker.ts'
import { startEmulators } from './aws/emulators.ts'
import { type EventSource, type EventSourceMapping, startEventSource } from './aws/event-source.ts'
import { httpApi } from './aws/http-api.ts'
import { startDataPlane, startRules } from './aws/iot.ts'
import { startSchedule } from './aws/schedule.ts'
import { type Companion, startCompanion } from './companion.ts'
import { type LocalEhr, localSite, startLocalEhr, tenantOf } from './ehr.ts'
import { EVENTS_PATH, eventsServer, isApiPath } from './events.ts'
import { closeServer, listen } from './http.ts'
import { gateOf } from './iam/aws-calls.ts'
import { describeViolation, type Need, Permissions } from './iam/permissions.ts'
import { type LambdaFunction, lambdaFunction } from './lambda/lambda.ts'
import { CompanionError } from './start-fault.ts'
import { deploy } from './template/deploy.ts'
import type { Template } from './template/intrinsics.ts'
import {
  clientOptions,
  credentialsOf,
  type Deployment,
  emulatorEnvironment,
  type LocalIdentity,
} from './template/plan.ts'

export interface LocalStackOptions {
  /** 0 takes any free port. */
  readonly apiPort?: number
  /** Port of the embedded broker; 0 takes any free one. */
  readonly mqttPort?: number
  /** URL of another broker, instead of the embedded one. */
  readonly broker?: string
  /** Port of a sandbox EHR, to which results are reported; 0 takes any free one. No EHR when absent. */
  readonly ehrPort?: number
  /** The site, whose EHR is replaced by the sandbox; its first tenant is whom the API takes everybody for. All defaults when absent. */
  readonly site?: SiteConfig
  /** Who signs the tokens of the API's callers, for the site's tenants; everybody is let in when absent. */
  readonly identity?: Omit<LocalIdentity, 'tenants'>
  /** Keeps queues, objects, results and the adapter's journal here; nothing outlives the stack when absent. */
  readonly dataDir?: string
  /** Sandboxes a function may have at once; by default one for each two cores for those that queues feed. */
  readonly concurrency?: number
  /** Of the processes that draw cines, as `nice` counts it; below that of all else when absent. */
  readonly batchPriority?: number
  /** Without the MQTT adapter, `streams/mqtt`. */
  readonly withoutAdapter?: boolean
  /** The console's built files, served at the API's address. */
  readonly consoleDir?: string
  /** A cloud assembly with this stack's template, instead of building and synthesizing one. */
  readonly assemblyDir?: string
  /** Every line that a function, the adapter or the stack itself says. */
  readonly log?: (source: string, line: string) => void
}

export interface LocalStack {
  readonly apiUrl: string
  readonly mqttUrl: string
  /** What the site decides; without an EHR, nothing. */
  readonly site: SiteConfig
  /** By name: `intake`, `intake-dlq`, `screening`, … */
  readonly queueUrls: Readonly<Record<string, string>>
  readonly tableName: string
  readonly bucketName: string
  /** The stack's outputs, as `cdk deploy --outputs-file` would write them. */
  readonly outputs: Readonly<Record<string, string>>
  /** Environment that points an AWS SDK at this stack. */
  readonly env: Readonly<Record<string, string>>
  /** By name: `preprocess`, `screen`, `api`. */
  readonly functions: Readonly<Record<string, LambdaFunction>>
  /** Process id of the (first) MQTT adapter; another one after it was killed and came back. */
  readonly adapterPid: number | undefined
  /** What was refused, and what nobody needed. */
  readonly permissions: Pick<Permissions, 'violations' | 'unused'>
  /** In order: the adapter flushes, functions finish what they hold, then the servers close. */
  stop(): Promise<void>
}

/** A port that something else listens on. */
class PortTakenError extends Error {
  constructor(what: string, port: number, option: string) {
    super(`port ${port} (${what}) is taken: stop what listens there, or pass ${option} with another`)
    this.name = 'PortTakenError'
  }
}

/**
 * @throws PortTakenError before anything else is started
 * @throws FunctionError when a function cannot load: a broken model bundle shows here, not with the first ECG
 * @example
 * const stack = await startLocalStack({})
 * await fetch(`${stack.apiUrl}/healthz`)
 * await stack.stop()
 */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const log = options.log ?? (() => {})
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await start()
  } catch (error) {
    await stop()
    throw error
  }

  async function start(): Promise<LocalStack> {
    // Ports first: a taken one shows at once.
    const api = await startApiServer(options.apiPort ?? 0)
    undo.push(api.close)
    let broker: Broker | undefined
    if (options.broker === undefined) {
      broker = await claimPort('MQTT', '--mqtt-port', options.mqttPort ?? 0, startBroker)
      undo.push(broker.stop)
    }
    const mqttUrl = broker?.url ?? options.broker!
    let ehr: LocalEhr | undefined
    if (options.ehrPort !== undefined) {
      const start = (port: number) => startLocalEhr(port, (line) => log('ehr', line))
      ehr = await claimPort('FHIR', '--fhir-port', options.ehrPort, start)
      undo.push(ehr.stop)
    }

    const folder = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'cardiacnets-')))
    if (options.dataDir === undefined) undo.push(() => rm(folder, { recursive: true, force: true }))
    const permissions = new Permissions((violation) => log('permissions', describeViolation(violation)))
    const gate = gateOf(permissions)
    const emulators = await startEmulators(options.dataDir, gate, (sentence) => log('stack', sentence))
    undo.push(emulators.stop)
    const wanted = options.site ?? parseSiteConfig('{}')
    const site = localSite(wanted, ehr && { ...ehr, ourUrl: api.url }, folder)
    const assemblyDir = options.assemblyDir ?? (await synthesize(folder, site))
    const template = await readTemplate(assemblyDir)
    const batch = await startBatch(gate, options.batchPriority)
    undo.push(batch.stop)
    const dataPlane = await startDataPlane(gate, broker)
    undo.push(dataPlane.stop)
    const endpoints = { AWS_ENDPOINT_URL_BATCH: batch.endpoint, AWS_ENDPOINT_URL_IOT_DATA_PLANE: dataPlane.endpoint }
    const deployment = await deploy(template, {
      assemblyDir,
      emulators,
      permissions,
      apiUrl: api.url,
      endpoints,
      tenant: tenantOf(site),
      identity: options.identity && { ...options.identity, tenants: site.deployment.tenants },
    })
    const env = { ...emulatorEnvironment(emulators), ...endpoints }

    const streaming = deployment.functions.find(({ name }) => deployment.streams.includes(name))
    const events = streaming && eventsServer(streaming, (line) => log(streaming.name, line), options.consoleDir)
    if (events !== undefined) undo.push(events.stop)

    const fed = new Set(deployment.mappings.map((mapping) => mapping.functionName))
    const functions = Object.fromEntries(
      deployment.functions
        .filter((spec) => spec !== streaming)
        .map((spec) => {
          const concurrency = options.concurrency ?? (fed.has(spec.name) ? Math.ceil(availableParallelism() / 2) : 2)
          return [spec.name, lambdaFunction(spec, concurrency, (line) => log(spec.name, line))]
        }),
    )
    undo.push(() => Promise.all(Object.values(functions).map((fn) => fn.stop())))
    const warmed = await Promise.allSettled(Object.values(functions).map((fn) => fn.warm()))
    for (const outcome of warmed) if (outcome.status === 'rejected') throw outcome.reason

    const sqs = new SQSClient({ ...clientOptions(emulators.endpoint), md5: false })
    undo.push(async () => sqs.destroy())
    // A worker that is asked to end gives its job back, for which it needs the others; once more, before they go.
    undo.push(batch.stop)
    batch.open(deployment, { sqs, environment: env, log: (line) => log('synthesize', line) })
    const clients = new Map<string, SQSClient>()
    undo.push(async () => {
      for (const client of clients.values()) client.destroy()
    })
    /** A client with the rights of a role. */
    const sqsAs = (role: string): SQSClient => {
      const client = clients.get(role) ?? new SQSClient({ ...clientOptions(emulators.endpoint, role), md5: false })
      clients.set(role, client)
      return client
    }
    const sources: EventSource[] = deployment.mappings.map((mapping) => {
      const fn = functions[mapping.functionName]!
      const { role } = fn.spec
      // A mapping polls with the rights of its function, and can only be made where that one has all three.
      if (role !== undefined) permissions.refuse(role, polling(mapping))
      return startEventSource(role === undefined ? sqs : sqsAs(role), mapping, fn, (line) => log('stack', line))
    })
    undo.push(() => Promise.all(sources.map((source) => source.stop())))
    if (broker !== undefined) {
      const rules = startRules(deployment.topicRules, { broker, sqsAs, log: (line) => log('iot', line) })
      undo.push(rules.stop)
    }
    const schedules = deployment.schedules.map((schedule) => startSchedule(sqs, schedule, (line) => log('stack', line)))
    undo.push(() => Promise.all(schedules.map((schedule) => schedule.stop())))
    const routes = httpApi(deployment.routes, (name, event) => functions[name]!.invoke(event))
    // This server is the front, too: it brings what the API wants of one.
    const front = deployment.functions.find(({ environment }) => environment.FRONT_SECRET !== undefined)?.environment
      .FRONT_SECRET
    api.open((request, response) => {
      if (front !== undefined) request.headers[FRONT_HEADER] = front
      const { pathname } = new URL(request.url ?? '/', 'http://localhost')
      const isForServer = pathname === EVENTS_PATH || (options.consoleDir !== undefined && !isApiPath(pathname))
      if (events === undefined || !isForServer) routes(request, response)
      else events.answer(request, response).catch(() => response.destroy())
    })
    undo.push(api.shut)

    const adapters: Companion[] = []
    if (!options.withoutAdapter && !isServedByIotCore(site)) {
      // A template without one knows of no broker; here there is one.
      const tasks = deployment.adapters.length > 0 ? deployment.adapters : [{ environment: {}, role: undefined }]
      for (const [index, { environment, role }] of tasks.entries()) {
        const subscribed = broker?.subscribed('frames')
        const journal = join(folder, index === 0 ? 'journal.db' : `journal-${index}.db`)
        const here = { ...adapterEnvironment(deployment, mqttUrl, journal, broker !== undefined), ...limitsOf(site) }
        const ready = Promise.withResolvers<void>()
        const adapter = startCompanion({
          script: 'streams/mqtt/main.ts',
          env: { ...env, ...environment, ...here, ...credentialsOf(role) },
          onLine: (line) => {
            if (line.includes('"message":"adapter ready"')) ready.resolve()
            log('adapter', line)
          },
        })
        undo.push(adapter.stop)
        adapters.push(adapter)
        // Another broker may refuse us for long; what we can say of it the adapter's log says.
        await subscription(subscribed ?? Promise.race([ready.promise, pause(READY_MS)]), adapter.ended)
      }
    }
    // First of all: what the broker goes on acknowledging when the adapter has left would be lost with its memory.
    if (broker !== undefined) undo.push(broker.drain)

    return {
      apiUrl: api.url,
      mqttUrl,
      site,
      queueUrls: deployment.queueUrls,
      tableName: deployment.tableNames[0]!,
      bucketName: bucketOf(deployment),
      outputs: { ...deployment.outputs, ApiUrl: api.url, EventsUrl: `${api.url}/` },
      env,
      functions,
      permissions,
      get adapterPid() {
        return adapters[0]?.pid
      },
      stop,
    }
  }
}

const polling = ({ queueArn }: EventSourceMapping): readonly Need[] =>
  ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((action) => ({
    action: `sqs:${action}`,
    resource: queueArn,
  }))

/** Builds the functions for this machine and synthesizes the site's stack into `folder`. In a process of its own: CDK takes 300 MB. */
async function synthesize(folder: string, site: SiteConfig): Promise<string> {
  const outdir = join(folder, 'cdk.out')
  await rm(outdir, { recursive: true, force: true })
  const file = join(folder, 'site.json')
  await writeFile(file, `${JSON.stringify(site, null, 2)}\n`)
  const script = join(import.meta.dirname, '../synth.ts')
  const env = { ...process.env, CDK_CONTEXT_JSON: JSON.stringify({ site: file }) }
  await promisify(execFile)(process.execPath, [script, '--host', '--outdir', outdir], { env })
  return outdir
}

async function readTemplate(assemblyDir: string): Promise<Template> {
  const text = await readFile(join(assemblyDir, `${STACK_NAME}.template.json`), 'utf8')
  return JSON.parse(text) as Template // written by CDK
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

/** Where ECGs lie; others hold logs and the console. */
function bucketOf({ bucketNames }: Deployment): string {
  return bucketNames.find((name) => name === 'raw') ?? bucketNames[0]!
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

/** How long the adapter is waited for that connects to another broker than ours. */
const READY_MS = 5000

/** The API's server; says 503 until it is given its routes. */
async function startApiServer(port: number) {
  const unavailable: RequestListener = (_request, response) => {
    response.writeHead(503, { 'content-type': 'application/json' }).end('{"message":"Service Unavailable"}')
  }
  let serve = unavailable
  const server = createServer(forThisMachine((request, response) => serve(request, response)))
  const address = await claimPort('API', '--port', port, (free) => listen(server, free))
  return {
    url: `http://127.0.0.1:${address.port}`,
    open: (listener: RequestListener) => {
      serve = listener
    },
    shut: async () => {
      serve = unavailable
    },
    close: () => closeServer(server),
  }
}

/** Starts a server; a port that something else has is said in words. */
async function claimPort<T>(
  what: string,
  option: string,
  port: number,
  start: (port: number) => Promise<T>,
): Promise<T> {
  try {
    return await start(port)
  } catch (error) {
    const isTaken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
    throw isTaken ? new PortTakenError(what, port, option) : error
  }
}
