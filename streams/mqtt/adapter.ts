/**
 * The adapter between an MQTT broker and the queues: frames in, windows to SQS, results back.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { sha256, toPayload, waveformKey } from '../../shared/aws/payloads.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import type { IntakeMessage, Payload } from '../../shared/messages.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import { createMetrics, type ServiceMetrics } from '../../shared/observe/metrics.ts'
import { childOf, formatTraceparent, TRACEPARENT } from '../../shared/observe/tracing.ts'
import { pause } from '../../shared/pause.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import { BrokerLog } from './broker-log.ts'
import { type AdapterConfig, ConfigError } from './config.ts'
import { backOff, openInbound, openTransient } from './connection.ts'
import { CONTENT_TYPES } from './frame-codec.ts'
import type { Problem } from './frame-end.ts'
import { Health } from './health.ts'
import { Ingest } from './ingest.ts'
import { intakeEnvelope } from './intake-message.ts'
import { Journal } from './journal.ts'
import { makeRoom } from './journal-room.ts'
import { Limits } from './limits.ts'
import { ListeningClock } from './listening.ts'
import { Outbox, type OutboxItem } from './outbox.ts'
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
  /** Resolves with the reason when the adapter cannot go on and must be started again. */
  readonly failed: Promise<unknown>
  /** Stops taking frames, sends what is complete as long as that goes quickly, and leaves the rest in the journal. */
  stop(): Promise<void>
}

/** Of a payload whose topic names no device. */
const NOBODY = { tenant: '', device: '' }

type Trouble =
  | 'cannot send to intake'
  | 'cannot send to intake DLQ'
  | 'cannot tell the device'
  | 'cannot publish results'

const UPKEEP_INTERVAL_MS = 1000
const REPORT_INTERVAL_MS = 60_000

/** After a day a session that comes again is a new one to us: no broker keeps a message for repeating that long. */
const SESSION_MEMORY_MS = 24 * 3600 * 1000

/** Of the windows whose device sends no trace: an operator can follow these through all logs. */
const SAMPLED_SHARE = 0.01

/** How long a shutdown waits for SQS. */
const FLUSH_MS = 3000

/** Share of the journal's limit below which an adapter that left the broker comes back. */
const RESUME_BELOW = 0.9

/**
 * Opens the journal, takes up what is in it, and connects.
 * @throws ConfigError when the journal cannot be opened; CodedError `disk-full` when there is no room for it
 */
export function startAdapter(
  config: AdapterConfig,
  { sqs, s3, logger, metrics = createMetrics('streams-mqtt') }: AdapterParts,
): Adapter {
  const health = new Health(config.clientId, metrics, logger)
  const stopping = new AbortController()
  const { signal } = stopping
  const failed = Promise.withResolvers<unknown>()
  const logError = (trouble: Trouble) => (error: unknown) => logger.error(trouble, describeError(error))
  const journal = openJournal(config.journalPath)
  if (journal.wasEmptied) logger.critical('the journal was emptied: what it held is lost', { field: 'JOURNAL_PATH' })
  const brokerLog = new BrokerLog(logger, config.broker.url)
  const publisher = backOff(openTransient(config.broker, `${config.clientId}-out`))
  publisher.on('error', (error) => brokerLog.failed(`${config.clientId}-out`, error))

  const outbox = (queueUrl: string, name: 'intake' | 'intake DLQ') =>
    new Outbox({ sqs, queueUrl, signal, onError: logError(`cannot send to ${name}`) })
  const intake = outbox(config.intakeQueueUrl, 'intake')
  const deadLetters = outbox(config.intakeDlqUrl, 'intake DLQ')

  const connections = connectionNames(config)
  const monotonic = () => performance.now()
  const listening = new ListeningClock(
    connections.map(({ clientId }) => clientId),
    monotonic,
  )
  const limits = new Limits(config.deviceLimits, monotonic)
  const ingest = new Ingest({
    journal,
    clock: { now: Date.now, monotonic, listening: () => listening.now() },
    idleMs: config.idleMs,
    limits,
    output: {
      windowsClosed: (windowIds, traceparents) =>
        intake.add(windowIds.map((id) => windowItem(id, traceparents?.get(id)))),
      refused: (rejectId, problem, topic, limit) => {
        health.refused(problem.code)
        if (limit !== undefined) health.limited(limit)
        // Who floods us is told now and then, and fills neither the log nor the queue.
        if (limit !== undefined && !limits.mayTell(limit, topic ?? NOBODY)) return
        logger.warn('payload refused', { ...problem, limit, tenant: topic?.tenant, device: topic?.device })
        if (rejectId !== undefined) deadLetters.add([rejectItem(rejectId)])
        if (topic !== undefined) tellDevice(topic, problem)
      },
      failed: failed.resolve,
    },
  })

  const windowItem = (windowId: number, fromDevice?: string): OutboxItem => {
    const traceparent = formatTraceparent(childOf(fromDevice, Math.random() < SAMPLED_SHARE))
    return {
      prepare: async () => ({
        body: JSON.stringify(await intakeMessage(journal, s3, config.rawBucket, windowId)),
        attributes: { [TRACEPARENT]: traceparent },
      }),
      sent: () => ingest.afterwards(() => journal.windowSent(windowId)),
    }
  }
  const rejectItem = (rejectId: number): OutboxItem => ({
    prepare: () => deadLetter(journal, s3, config.rawBucket, rejectId),
    sent: () => ingest.afterwards(() => journal.rejectSent(rejectId)),
  })
  const tellDevice = ({ tenant, device }: Topic, problem: Problem) => {
    // To be told is a courtesy: what cannot be published now is not kept.
    if (!publisher.connected) return
    const properties = { contentType: CONTENT_TYPES.json }
    publisher.publish(
      buildTopic({ tenant, device, channel: 'cmd' }),
      JSON.stringify({
        problem: { ...problem, message: sentenceOf({ code: problem.code, detail: { field: problem.field } }) },
      }),
      { qos: 1, ...(config.broker.version === 5 ? { properties } : {}) },
      (error) => error && logError('cannot tell the device')(error),
    )
  }

  journal.prune(Date.now() - SESSION_MEMORY_MS)
  ingest.recover()
  deadLetters.add(journal.pendingRejects().map(rejectItem))

  const inbound = connections.map(({ clientId, filters }) =>
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
  const results = publishResults({
    sqs,
    queueUrl: config.resultsQueueUrl,
    client: publisher,
    version: config.broker.version,
    form: config.deviceResults,
    signal,
    onError: logError('cannot publish results'),
  })

  let isAway = false
  const holdWithinLimit = () => {
    const room = makeRoom({ ingest, journal, limits, limitBytes: config.journalLimitBytes })
    if (room.expiredWindows + room.forgottenSessions > 0) logger.warn('journal makes room', room)
    const { usedBytes } = journal
    if (!isAway && usedBytes > config.journalLimitBytes) {
      isAway = true
      logger.error('journal full: leaving the broker until SQS has caught up', { usedBytes })
      for (const connection of inbound) void connection.leave()
    } else if (isAway && usedBytes < config.journalLimitBytes * RESUME_BELOW) {
      isAway = false
      logger.info('journal has room: back to the broker', { usedBytes })
      for (const connection of inbound) connection.rejoin()
    }
  }
  const reportHealth = () => {
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
  const upkeep = setInterval(() => {
    if (listening.takeReturn()) ingest.resumed()
    ingest.sweep()
    holdWithinLimit()
  }, UPKEEP_INTERVAL_MS)
  const reporting = setInterval(reportHealth, REPORT_INTERVAL_MS)

  const stop = async () => {
    clearInterval(upkeep)
    clearInterval(reporting)
    ingest.flush()
    await Promise.all(inbound.map((connection) => connection.leave()))
    ingest.flush()
    await Promise.race([Promise.all([intake.settled(), deadLetters.settled()]), pause(FLUSH_MS, signal)])
    stopping.abort()
    await Promise.all([intake.settled(), deadLetters.settled(), results])
    await publisher.endAsync(!publisher.connected)
    ingest.flush()
    journal.close()
  }
  return { ready: Promise.all(inbound.map(({ subscribed }) => subscribed)), failed: failed.promise, stop }
}

/** What is wrong with its file is a setting that must change, except for a disk that is full: that is over when there is room. */
function openJournal(path: string): Journal {
  try {
    return new Journal(path)
  } catch (error) {
    if (!(error instanceof CodedError) || error.kind.exitCode !== 2) throw error
    throw new ConfigError(`JOURNAL_PATH: ${sentenceOf(error)}`, { cause: error })
  }
}

/** One connection subscribes plainly; several share the subscription, and all feed one journal. */
function connectionNames({ clientId, connections, tenants = ['+'], hearsWindows }: AdapterConfig) {
  const channels: readonly Channel[] = hearsWindows ? ['frames', 'window'] : ['frames']
  const filters = tenants.flatMap((tenant) => channels.map((channel) => topicFilter(channel, tenant)))
  if (connections === 1) return [{ clientId, filters }]
  const shared = filters.map((filter) => `$share/${clientId}/${filter}`)
  return Array.from({ length: connections }, (_, index) => ({ clientId: `${clientId}-${index}`, filters: shared }))
}

async function intakeMessage(journal: Journal, s3: S3Client, bucket: string, windowId: number): Promise<IntakeMessage> {
  const window = journal.readWindow(windowId)
  const envelope = intakeEnvelope(window)
  const key = waveformKey('raw', envelope.tenant, envelope.ecgId, envelope.version)
  return { ...envelope, waveform: await toPayload(s3, bucket, key, encodeWaveform(window.waveform)) }
}

/** A refused payload as it lies in the DLQ: where it came from, why it is there, and its bytes. */
export interface DeadLetter {
  readonly schema: 1
  readonly kind: 'mqtt'
  readonly topic: string
  readonly contentType?: string
  readonly field?: string
  /** `null` for a payload that was too large to keep. */
  readonly payload: Payload | null
}

/** Room beside the payload for topic and content type, whose length the broker's clients choose (up to 64 KiB each). */
const MAX_TEXT = 256

/** A client's text as SQS takes it: of what JSON leaves unescaped, it refuses these two, however often it is asked. */
const clientText = (text: string) => text.slice(0, MAX_TEXT).replace(/[\uFFFE\uFFFF]/g, '\uFFFD')

async function deadLetter(journal: Journal, s3: S3Client, bucket: string, rejectId: number) {
  const { topic, contentType, code, field, payload } = journal.readReject(rejectId)
  const letter: DeadLetter = {
    schema: 1,
    kind: 'mqtt',
    topic: clientText(topic),
    ...(contentType === undefined ? {} : { contentType: clientText(contentType) }),
    ...(field === undefined ? {} : { field }),
    payload: code === 'payload-too-large' ? null : await toPayload(s3, bucket, `rejected/${sha256(payload)}`, payload),
  }
  return { body: JSON.stringify(letter), attributes: { reason: code } }
}
