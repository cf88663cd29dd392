/**
 * The adapter between an MQTT broker and the queues: sends windows of received frames to SQS, and publishes results.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import { createMetrics, type ServiceMetrics } from '../../shared/observe/metrics.ts'
import { pause } from '../../shared/pause.ts'
import { BrokerLog } from './broker-log.ts'
import { type AdapterConfig, ConfigError } from './config.ts'
import { backOff, type Inbound, openInbound, openTransient } from './connection.ts'
import { CONTENT_TYPES } from './frame-codec.ts'
import type { Problem } from './frame-end.ts'
import { Health } from './health.ts'
import { Ingest } from './ingest.ts'
import { Journal } from './journal.ts'
import { makeRoom } from './journal-room.ts'
import { Limits } from './limits.ts'
import { ListeningClock } from './listening.ts'
import { Outbox } from './outbox.ts'
import { missedResultItem, rejectItem, type Source, windowItem } from './outgoing.ts'
import { publishResults } from './results.ts'
import { buildTopic, type Channel, type Topic, topicFilter } from './topics.ts'

export interface AdapterParts {
  readonly sqs: SQSClient
  readonly s3: S3Client
  readonly logger: Log
  readonly metrics?: ServiceMetrics
}

export interface Adapter {
  /** Resolves when the broker has granted every subscription; rejects when it refuses one. */
  readonly ready: Promise<unknown>
  /** Resolves with the reason when the adapter cannot continue and must be restarted. */
  readonly failed: Promise<unknown>
  /** Stops accepting frames, sends complete windows for a short time, and leaves the rest in the journal. */
  stop(): Promise<void>
}

/** For a payload whose topic names no device. */
const NOBODY = { tenant: '', device: '' }

type Trouble =
  | 'cannot send to intake'
  | 'cannot send to intake DLQ'
  | 'cannot send to upkeep'
  | 'cannot tell the device'
  | 'cannot publish results'

const UPKEEP_INTERVAL_MS = 1000
const REPORT_INTERVAL_MS = 60_000

/** After a day, a session that returns is treated as a new one: no broker keeps a message for repetition that long. */
const SESSION_MEMORY_MS = 24 * 3600 * 1000

/** How long a shutdown waits for SQS. */
const FLUSH_MS = 3000

/** Share of the journal's limit below which an adapter that left the broker returns. */
const RESUME_BELOW = 0.9

/** Needed by every step. */
interface Core {
  readonly config: AdapterConfig
  readonly parts: AdapterParts
  readonly journal: Journal
  readonly health: Health
  readonly limits: Limits
  readonly listening: ListeningClock
  readonly brokerLog: BrokerLog
  readonly publisher: ReturnType<typeof openTransient>
  readonly intake: Outbox
  readonly deadLetters: Outbox
  /** Absent: nobody publishes a result again. */
  readonly upkeep: Outbox | undefined
}

/**
 * Opens the journal, continues with its content, and connects.
 * @throws ConfigError when the journal cannot be opened; CodedError `disk-full` when there is no room for it
 */
export function startAdapter(config: AdapterConfig, parts: AdapterParts): Adapter {
  const stopping = new AbortController()
  const failed = Promise.withResolvers<unknown>()
  const core = openCore(config, parts, stopping.signal)
  const ingest = startIngest(core, failed.resolve)
  const inbound = connect(core, ingest)
  const results = publishResults({
    sqs: parts.sqs,
    queueUrl: config.resultsQueueUrl,
    client: core.publisher,
    version: config.broker.version,
    form: config.deviceResults,
    signal: stopping.signal,
    onError: logError(core, 'cannot publish results'),
  })
  const endUpkeep = startUpkeep(core, ingest, inbound)
  const stop = async () => {
    endUpkeep()
    await leave(core, ingest, inbound, stopping, results)
  }
  return { ready: Promise.all(inbound.map(({ subscribed }) => subscribed)), failed: failed.promise, stop }
}

const logError =
  ({ parts: { logger } }: Pick<Core, 'parts'>, trouble: Trouble) =>
  (error: unknown) =>
    logger.error(trouble, describeError(error))

function openCore(config: AdapterConfig, parts: AdapterParts, signal: AbortSignal): Core {
  const { sqs, logger, metrics = createMetrics('streams-mqtt') } = parts
  const health = new Health(config.clientId, metrics, logger)
  const journal = openJournal(config.journalPath)
  if (journal.wasEmptied) logger.critical('the journal was emptied: what it held is lost', { field: 'JOURNAL_PATH' })
  const brokerLog = new BrokerLog(logger, config.broker.url)
  const publisher = backOff(openTransient(config.broker, `${config.clientId}-out`))
  publisher.on('error', (error) => brokerLog.failed(`${config.clientId}-out`, error))
  const outbox = (queueUrl: string, name: 'intake' | 'intake DLQ' | 'upkeep') =>
    new Outbox({ sqs, queueUrl, signal, onError: logError({ parts }, `cannot send to ${name}`) })
  const names = connectionNames(config).map(({ clientId }) => clientId)
  return {
    config,
    parts,
    journal,
    health,
    limits: new Limits(config.deviceLimits, monotonic),
    listening: new ListeningClock(names, monotonic),
    brokerLog,
    publisher,
    intake: outbox(config.intakeQueueUrl, 'intake'),
    deadLetters: outbox(config.intakeDlqUrl, 'intake DLQ'),
    upkeep: config.upkeepQueueUrl === undefined ? undefined : outbox(config.upkeepQueueUrl, 'upkeep'),
  }
}

const monotonic = () => performance.now()

/** Writes frames to the journal, and sends closed windows and refused payloads to SQS; starts with the journal's content. */
function startIngest(core: Core, failed: (reason: unknown) => void): Ingest {
  const { config, parts, journal, health, limits, listening, intake, deadLetters, upkeep } = core
  const ingest = new Ingest({
    journal,
    clock: { now: Date.now, monotonic, listening: () => listening.now() },
    idleMs: config.idleMs,
    limits,
    output: {
      windowsClosed: (windowIds, traceparents) =>
        intake.add(windowIds.map((id) => windowItem(source, id, traceparents?.get(id)))),
      refused: (rejectId, problem, topic, limit) => {
        health.refused(problem.code)
        if (limit !== undefined) health.limited(limit)
        // A sender that exceeds its limit is reported at intervals, and fills neither the log nor the queue.
        if (limit !== undefined && !limits.mayTell(limit, topic ?? NOBODY)) return
        parts.logger.warn('payload refused', { ...problem, limit, tenant: topic?.tenant, device: topic?.device })
        if (rejectId !== undefined) deadLetters.add([rejectItem(source, rejectId)])
        if (topic !== undefined) tellDevice(core, topic, problem)
      },
      resultsMissed: (missed) => upkeep?.add(missed.map(missedResultItem)),
      failed,
    },
  })
  const afterwards: Source['afterwards'] = (then) => ingest.afterwards(then)
  const source: Source = { journal, s3: parts.s3, bucket: config.rawBucket, afterwards }
  journal.prune(Date.now() - SESSION_MEMORY_MS)
  ingest.recover()
  deadLetters.add(journal.pendingRejects().map((id) => rejectItem(source, id)))
  return ingest
}

/** Reports a refusal to its device. This is best effort: what cannot be published now is not kept. */
function tellDevice(core: Core, { tenant, device }: Topic, problem: Problem): void {
  const { config, publisher } = core
  if (!publisher.connected) return
  const message = sentenceOf({ code: problem.code, detail: { field: problem.field } })
  const properties = { contentType: CONTENT_TYPES.json }
  publisher.publish(
    buildTopic({ tenant, device, channel: 'cmd' }),
    JSON.stringify({ problem: { ...problem, message } }),
    { qos: 1, ...(config.broker.version === 5 ? { properties } : {}) },
    (error) => error && logError(core, 'cannot tell the device')(error),
  )
}

function connect({ config, health, listening, brokerLog }: Core, ingest: Ingest): readonly Inbound[] {
  return connectionNames(config).map(({ clientId, filters }) =>
    openInbound(
      config.broker,
      clientId,
      filters,
      (arrival) => ingest.receive(arrival),
      (state, error) => {
        health.connection(clientId, state)
        if (state === 'subscribed') listening.up(clientId)
        if (state === 'disconnected') listening.down(clientId)
        if (error === undefined) brokerLog.changed(clientId, state)
        else brokerLog.failed(clientId, error)
      },
      () => listening.heard(clientId),
    ),
  )
}

/**
 * Closes overdue windows, keeps the journal within its limit, and reports health.
 * @returns a function that stops it
 */
function startUpkeep(core: Core, ingest: Ingest, inbound: readonly Inbound[]): () => void {
  const holdWithinLimit = journalKeeper(core, ingest, inbound)
  const upkeep = setInterval(() => {
    if (core.listening.takeReturn()) ingest.resumed()
    ingest.sweep()
    holdWithinLimit()
  }, UPKEEP_INTERVAL_MS)
  const reporting = setInterval(() => reportHealth(core, ingest), REPORT_INTERVAL_MS)
  return () => {
    clearInterval(upkeep)
    clearInterval(reporting)
  }
}

/** Leaves the broker while the journal is full, and returns when there is room. */
function journalKeeper({ config, parts, journal, limits }: Core, ingest: Ingest, inbound: readonly Inbound[]) {
  const { logger } = parts
  const limitBytes = config.journalLimitBytes
  let isAway = false
  return () => {
    const room = makeRoom({ ingest, journal, limits, limitBytes })
    if (room.expiredWindows + room.forgottenSessions > 0) logger.warn('journal makes room', room)
    const { usedBytes } = journal
    if (!isAway && usedBytes > limitBytes) {
      isAway = true
      logger.error('journal full: leaving the broker until SQS has caught up', { usedBytes })
      for (const connection of inbound) void connection.leave()
    } else if (isAway && usedBytes < limitBytes * RESUME_BELOW) {
      isAway = false
      logger.info('journal has room: back to the broker', { usedBytes })
      for (const connection of inbound) connection.rejoin()
    }
  }
}

function reportHealth({ config, journal, health, intake }: Core, ingest: Ingest): void {
  ingest.expire(Date.now() - config.correctionMs)
  ingest.afterwards(() => journal.prune(Date.now() - Math.max(SESSION_MEMORY_MS, config.correctionMs)))
  health.report({
    frames: { ...ingest.counts },
    sessions: ingest.sessions,
    waitingWindows: intake.waiting,
    sentWindows: intake.sent,
    oldestWindowMs: intake.oldestMs,
    journalBytes: journal.usedBytes,
  })
}

/** In order: accepts no more frames, sends complete windows to SQS for a short time, and leaves the rest in the journal. */
async function leave(
  { journal, publisher, intake, deadLetters }: Core,
  ingest: Ingest,
  inbound: readonly Inbound[],
  stopping: AbortController,
  results: Promise<unknown>,
): Promise<void> {
  ingest.flush()
  await Promise.all(inbound.map((connection) => connection.leave()))
  ingest.flush()
  await Promise.race([Promise.all([intake.settled(), deadLetters.settled()]), pause(FLUSH_MS, stopping.signal)])
  stopping.abort()
  await Promise.all([intake.settled(), deadLetters.settled(), results])
  await publisher.endAsync(!publisher.connected)
  ingest.flush()
  journal.close()
}

/** A fault of the file is a setting that must change, except for a full disk, which ends when there is room. */
function openJournal(path: string): Journal {
  try {
    return new Journal(path)
  } catch (error) {
    if (!(error instanceof CodedError) || error.kind.exitCode !== 2) throw error
    throw new ConfigError(`JOURNAL_PATH: ${sentenceOf(error)}`, { cause: error })
  }
}

/** One connection subscribes directly. Several share the subscription, and all write to one journal. */
function connectionNames({ clientId, connections, tenants = ['+'], hearsWindows }: AdapterConfig) {
  const channels: readonly Channel[] = hearsWindows ? ['frames', 'window'] : ['frames']
  const filters = tenants.flatMap((tenant) => channels.map((channel) => topicFilter(channel, tenant)))
  if (connections === 1) return [{ clientId, filters }]
  const shared = filters.map((filter) => `$share/${clientId}/${filter}`)
  return Array.from({ length: connections }, (_, index) => ({ clientId: `${clientId}-${index}`, filters: shared }))
}
