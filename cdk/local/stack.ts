/**
 * The synthesized template on one machine: queues, topic and bucket in fauxqs, table in dynalite, the Lambdas' bundles in child processes,
 * the HTTP API and an MQTT broker on 127.0.0.1, and the MQTT adapter in a process of its own.
 * @module
 */
import { mkdtemp, rm } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQSClient } from '@aws-sdk/client-sqs'
import { FRONT_HEADER } from '../../shared/config/deployment.ts'
import { parseSiteConfig, type SiteConfig } from '../../shared/config/site.ts'
import { startAdapters } from './adapters.ts'
import { readTemplate, synthesize } from './assembly.ts'
import { type LocalBatch, startBatch } from './aws/batch.ts'
import { type Broker, startBroker } from './aws/broker.ts'
import { type Emulators, startEmulators } from './aws/emulators.ts'
import { type EventSourceMapping, startEventSource } from './aws/event-source.ts'
import { httpApi } from './aws/http-api.ts'
import { startDataPlane, startRules } from './aws/iot.ts'
import { startSchedule } from './aws/schedule.ts'
import type { Companion } from './companion.ts'
import { type LocalEhr, localSite, startLocalEhr, tenantOf } from './ehr.ts'
import { EVENTS_PATH, type EventsServer, eventsServer, isApiPath } from './events.ts'
import { gateOf } from './iam/aws-calls.ts'
import { describeViolation, type Need, Permissions } from './iam/permissions.ts'
import { type LambdaFunction, lambdaFunction } from './lambda/lambda.ts'
import type { FunctionSpec } from './lambda/sandbox.ts'
import { type ApiServer, claimPort, startApiServer } from './ports.ts'
import { deploy } from './template/deploy.ts'
import { bucketOf, clientOptions, type Deployment, emulatorEnvironment, type LocalIdentity } from './template/plan.ts'

export interface LocalStackOptions {
  /** 0 takes any free port. */
  readonly apiPort?: number
  /** Port of the embedded broker; 0 takes any free one. */
  readonly mqttPort?: number
  /** URL of another broker, instead of the embedded one. */
  readonly broker?: string
  /** Port of a sandbox EHR, to which results are reported; 0 takes any free one. Absent: no EHR. */
  readonly ehrPort?: number
  /** The site. Its EHR is replaced by the sandbox, and the API treats every caller as its first tenant. Absent: all defaults. */
  readonly site?: SiteConfig
  /** Provider of the API's tokens, for the site's tenants. Absent: every caller is accepted. */
  readonly identity?: Omit<LocalIdentity, 'tenants'>
  /** Folder for queues, objects, results and the adapter's journal. Absent: no data outlives the stack. */
  readonly dataDir?: string
  /** Sandboxes per function. By default, functions that queues feed have one per two cores. */
  readonly concurrency?: number
  /** Nice value of the processes that draw cines. Absent: lower priority than everything else. */
  readonly batchPriority?: number
  /** Do not start the MQTT adapter, `streams/mqtt`. */
  readonly withoutAdapter?: boolean
  /** The console's built files, served at the API's address. */
  readonly consoleDir?: string
  /** A cloud assembly with this stack's template, used instead of building one. */
  readonly assemblyDir?: string
  /** Called with every line of output of a function, the adapter or the stack itself. */
  readonly log?: (source: string, line: string) => void
}

export interface LocalStack {
  readonly apiUrl: string
  readonly mqttUrl: string
  /** The site as it is configured here; without an EHR, only its deployment. */
  readonly site: SiteConfig
  /** Queue URLs by name: `intake`, `intake-dlq`, `screening`, … */
  readonly queueUrls: Readonly<Record<string, string>>
  readonly tableName: string
  readonly bucketName: string
  /** The stack's outputs, as `cdk deploy --outputs-file` would write them. */
  readonly outputs: Readonly<Record<string, string>>
  /** Environment that points an AWS SDK at this stack. */
  readonly env: Readonly<Record<string, string>>
  /** Functions by name: `preprocess`, `screen`, `api`. */
  readonly functions: Readonly<Record<string, LambdaFunction>>
  /** Process id of the (first) MQTT adapter; it changes when the adapter is restarted. */
  readonly adapterPid: number | undefined
  /** Refused calls, and unused permissions. */
  readonly permissions: Pick<Permissions, 'violations' | 'unused'>
  /** Stops in order: the adapter flushes, functions finish their work, then the servers close. */
  stop(): Promise<void>
}

/** Needed by every step of a start. */
interface Start {
  readonly options: LocalStackOptions
  readonly log: (source: string, line: string) => void
  /** Stops what was started, in reverse order. */
  readonly undo: (() => Promise<unknown>)[]
}

/** Servers on configurable ports. */
interface Ports {
  readonly api: ApiServer
  /** Absent where another broker is used. */
  readonly broker: Broker | undefined
  readonly mqttUrl: string
  readonly ehr: LocalEhr | undefined
}

/** Substitutes of AWS services. */
interface Services {
  readonly permissions: Permissions
  readonly emulators: Emulators
  readonly batch: LocalBatch
  readonly endpoints: { readonly AWS_ENDPOINT_URL_BATCH: string; readonly AWS_ENDPOINT_URL_IOT_DATA_PLANE: string }
  /** Environment that points an AWS SDK at all of them. */
  readonly env: Readonly<Record<string, string>>
}

type Functions = Readonly<Record<string, LambdaFunction>>

/**
 * Starts the local stack.
 * @throws PortTakenError before anything else is started
 * @throws FunctionError when a function whose answer is awaited cannot load, so that a broken model bundle is noticed before the first ECG
 * @example
 * const stack = await startLocalStack({})
 * await fetch(`${stack.apiUrl}/healthz`)
 * await stack.stop()
 */
export async function startLocalStack(options: LocalStackOptions): Promise<LocalStack> {
  const undo: Start['undo'] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    return await startAll({ options, log: options.log ?? (() => {}), undo }, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function startAll(start: Start, stop: () => Promise<void>): Promise<LocalStack> {
  const { options, undo } = start
  // Ports first, so that a taken one is noticed at once.
  const ports = await openPorts(start)
  const { api, broker, mqttUrl } = ports
  const folder = await dataFolder(start)
  const services = await startServices(start, broker)
  const site = localSite(options.site ?? parseSiteConfig('{}'), ports.ehr && { ...ports.ehr, ourUrl: api.url }, folder)
  const deployment = await deploySite(start, site, folder, services, api)
  const { env, permissions } = services
  const events = startEvents(start, deployment)
  const functions = await startFunctions(start, deployment)
  feedFunctions(start, deployment, functions, services, broker)
  openApi(start, deployment, functions, api, events)

  const adapters: Companion[] = []
  const started = (adapter: Companion) => {
    undo.push(adapter.stop)
    adapters.push(adapter)
  }
  const log = (line: string) => start.log('adapter', line)
  if (!options.withoutAdapter) {
    await startAdapters({ deployment, site, env, broker, mqttUrl, folder, log, started })
  }
  // Stopped first: what the broker still acknowledged after the adapter has ended would be lost with its memory.
  if (broker !== undefined) undo.push(broker.drain)

  return {
    apiUrl: api.url,
    mqttUrl,
    site,
    queueUrls: deployment.queueUrls,
    // Only an error when it is used, because a template may have none.
    get tableName() {
      return tableOf(deployment)
    },
    get bucketName() {
      return bucketOf(deployment)
    },
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

async function openPorts({ options, log, undo }: Start): Promise<Ports> {
  const api = await startApiServer(options.apiPort ?? 0)
  undo.push(api.close)
  let broker: Broker | undefined
  let mqttUrl = options.broker
  if (mqttUrl === undefined) {
    broker = await claimPort('MQTT', '--mqtt-port', options.mqttPort ?? 0, startBroker)
    undo.push(broker.stop)
    mqttUrl = broker.url
  }
  let ehr: LocalEhr | undefined
  if (options.ehrPort !== undefined) {
    const start = (port: number) => startLocalEhr(port, (line) => log('ehr', line))
    ehr = await claimPort('FHIR', '--fhir-port', options.ehrPort, start)
    undo.push(ehr.stop)
  }
  return { api, broker, mqttUrl, ehr }
}

/** Folder of the stack's files. A temporary one is removed with the stack. */
async function dataFolder({ options: { dataDir }, undo }: Start): Promise<string> {
  if (dataDir !== undefined) return dataDir
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-'))
  undo.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function startServices({ options, log, undo }: Start, broker: Broker | undefined): Promise<Services> {
  const permissions = new Permissions((violation) => log('permissions', describeViolation(violation)))
  const gate = gateOf(permissions)
  const emulators = await startEmulators(options.dataDir, gate, (sentence) => log('stack', sentence))
  undo.push(emulators.stop)
  const batch = await startBatch(gate, options.batchPriority)
  undo.push(batch.stop)
  const dataPlane = await startDataPlane(gate, broker)
  undo.push(dataPlane.stop)
  const endpoints = { AWS_ENDPOINT_URL_BATCH: batch.endpoint, AWS_ENDPOINT_URL_IOT_DATA_PLANE: dataPlane.endpoint }
  return { permissions, emulators, batch, endpoints, env: { ...emulatorEnvironment(emulators), ...endpoints } }
}

/** Creates the resources of the site's template. */
async function deploySite(
  { options }: Start,
  site: SiteConfig,
  folder: string,
  { emulators, permissions, endpoints }: Services,
  api: ApiServer,
): Promise<Deployment> {
  const assemblyDir = options.assemblyDir ?? (await synthesize(folder, site))
  return deploy(await readTemplate(assemblyDir), {
    assemblyDir,
    emulators,
    permissions,
    apiUrl: api.url,
    endpoints,
    tenant: tenantOf(site),
    identity: options.identity && { ...options.identity, tenants: site.deployment.tenants },
  })
}

const streamingOf = ({ functions, streams }: Deployment): FunctionSpec | undefined =>
  functions.find(({ name }) => streams.includes(name))

/** Starts the server of the function that streams. */
function startEvents({ options, log, undo }: Start, deployment: Deployment): EventsServer | undefined {
  const streaming = streamingOf(deployment)
  if (streaming === undefined) return undefined
  const events = eventsServer(streaming, (line) => log(streaming.name, line), options.consoleDir)
  undo.push(events.stop)
  return events
}

/** Somebody waits for their answer. The other functions are loaded by their first event. */
const AWAITED: readonly string[] = ['api', 'preprocess', 'screen']

/** Starts the other functions, and loads those whose answer is awaited. */
async function startFunctions({ options, log, undo }: Start, deployment: Deployment): Promise<Functions> {
  const streaming = streamingOf(deployment)
  const fed = new Set(deployment.mappings.map(({ functionName }) => functionName))
  const concurrencyOf = (name: string) =>
    options.concurrency ?? (fed.has(name) ? Math.ceil(availableParallelism() / 2) : 2)
  const functions = Object.fromEntries(
    deployment.functions
      .filter((spec) => spec !== streaming)
      .map((spec) => [spec.name, lambdaFunction(spec, concurrencyOf(spec.name), (line) => log(spec.name, line))]),
  )
  const all = Object.values(functions)
  undo.push(() => Promise.all(all.map((fn) => fn.stop())))
  const warmed = await Promise.allSettled(all.filter(({ spec }) => AWAITED.includes(spec.name)).map((fn) => fn.warm()))
  for (const outcome of warmed) if (outcome.status === 'rejected') throw outcome.reason
  return functions
}

/** Connects the functions to their event sources: queues, jobs, rules and schedules. */
function feedFunctions(
  { log, undo }: Start,
  deployment: Deployment,
  functions: Functions,
  { emulators, batch, permissions, env }: Services,
  broker: Broker | undefined,
): void {
  const clients = new Map<string, SQSClient>()
  /** A client with the permissions of a role; without a role, with all. */
  const sqsAs = (role = ''): SQSClient => {
    const rights = role === '' ? clientOptions(emulators.endpoint) : clientOptions(emulators.endpoint, role)
    const client = clients.get(role) ?? new SQSClient({ ...rights, md5: false })
    clients.set(role, client)
    return client
  }
  const sqs = sqsAs()
  undo.push(async () => {
    for (const client of clients.values()) client.destroy()
  })
  // Stopped before the others, because a worker that must end gives its job back and needs them.
  undo.push(batch.stop)
  batch.open(deployment, { sqs, environment: env, log: (line) => log('synthesize', line) })
  const say = (line: string) => log('stack', line)
  const sources = deployment.mappings.map((mapping) => {
    const fn = functionOf(functions, mapping.functionName)
    const { role } = fn.spec
    // A mapping polls with the permissions of its function, and can be created only when the function has all three.
    if (role !== undefined) permissions.refuse(role, polling(mapping))
    return startEventSource(sqsAs(role), mapping, fn, say)
  })
  undo.push(() => Promise.all(sources.map((source) => source.stop())))
  if (broker !== undefined) {
    undo.push(startRules(deployment.topicRules, { broker, sqsAs, log: (line) => log('iot', line) }).stop)
  }
  const schedules = deployment.schedules.map((schedule) => startSchedule(sqs, schedule, say))
  undo.push(() => Promise.all(schedules.map((schedule) => schedule.stop())))
}

const polling = ({ queueArn }: EventSourceMapping): readonly Need[] =>
  ['ReceiveMessage', 'DeleteMessage', 'GetQueueAttributes'].map((action) => ({
    action: `sqs:${action}`,
    resource: queueArn,
  }))

/** Sets the routes of the API's server. It also acts as the front and sends the header that the API requires. */
function openApi(
  { options, undo }: Start,
  deployment: Deployment,
  functions: Functions,
  api: ApiServer,
  events: EventsServer | undefined,
): void {
  const routes = httpApi(deployment.routes, (name, event) => functionOf(functions, name).invoke(event))
  const secrets = deployment.functions.map(({ environment }) => environment.FRONT_SECRET)
  const front = secrets.find((secret) => secret !== undefined)
  const answer: RequestListener = (request, response) => {
    if (front !== undefined) request.headers[FRONT_HEADER] = front
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const isForServer = pathname === EVENTS_PATH || (options.consoleDir !== undefined && !isApiPath(pathname))
    if (events === undefined || !isForServer) routes(request, response)
    else events.answer(request, response).catch(() => response.destroy())
  }
  api.open(answer)
  undo.push(api.shut)
}

function functionOf(functions: Functions, name: string): LambdaFunction {
  const fn = functions[name]
  if (fn === undefined) throw new Error(`the template names no function ${name}`)
  return fn
}

function tableOf({ tableNames: [name] }: Deployment): string {
  if (name === undefined) throw new Error('the template has no table')
  return name
}
