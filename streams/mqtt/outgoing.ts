/**
 * What the adapter sends to SQS: closed windows to the intake, refused payloads to its DLQ, and which results devices miss to the upkeep. The
 * first two are read from the journal when they are sent, and removed from it when SQS has them.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { sha256, toPayload, waveformKey } from '../../shared/aws/payloads.ts'
import type { IntakeMessage, Payload, UpkeepMessage } from '../../shared/messages.ts'
import { childOf, formatTraceparent, TRACEPARENT } from '../../shared/observe/tracing.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import type { Ingest, MissedResult } from './ingest.ts'
import { intakeEnvelope } from './intake-message.ts'
import type { Journal } from './journal.ts'
import type { OutboxItem } from './outbox.ts'

/** Sampled share of the windows whose device sends no trace; an operator can follow these through all logs. */
const SAMPLED_SHARE = 0.01

export interface Source {
  readonly journal: Journal
  readonly s3: S3Client
  readonly bucket: string
  /** Runs a change after the journal's current write. */
  readonly afterwards: Ingest['afterwards']
}

/**
 * Makes the outbox item of a window.
 * @param fromDevice the traceparent that the device sent, if any
 */
export function windowItem(source: Source, windowId: number, fromDevice?: string): OutboxItem {
  const { journal, s3, bucket, afterwards } = source
  const traceparent = formatTraceparent(childOf(fromDevice, Math.random() < SAMPLED_SHARE))
  return {
    prepare: async () => ({
      body: JSON.stringify(await intakeMessage(journal, s3, bucket, windowId)),
      attributes: { [TRACEPARENT]: traceparent },
    }),
    sent: () => afterwards(() => journal.windowSent(windowId)),
  }
}

export function rejectItem({ journal, s3, bucket, afterwards }: Source, rejectId: number): OutboxItem {
  return {
    prepare: () => deadLetter(journal, s3, bucket, rejectId),
    sent: () => afterwards(() => journal.rejectSent(rejectId)),
  }
}

/** Asks for the stored result of an ECG to be published again. It is not kept for a restart: the device repeats itself. */
export function missedResultItem({ tenant, ecgId }: MissedResult): OutboxItem {
  const message: UpkeepMessage = { schema: 1, kind: 'result', tenant, ecgId }
  return { prepare: async () => ({ body: JSON.stringify(message) }), sent: () => {} }
}

async function intakeMessage(journal: Journal, s3: S3Client, bucket: string, windowId: number): Promise<IntakeMessage> {
  const window = journal.readWindow(windowId)
  const envelope = intakeEnvelope(window)
  const key = waveformKey('raw', envelope.tenant, envelope.ecgId, envelope.version)
  return { ...envelope, waveform: await toPayload(s3, bucket, key, encodeWaveform(window.waveform)) }
}

/** A refused payload as it is stored in the DLQ: its topic, the reason, and its bytes. */
interface DeadLetter {
  readonly schema: 1
  readonly kind: 'mqtt'
  readonly topic: string
  readonly contentType?: string
  readonly field?: string
  /** `null` for a payload that was too large to keep. */
  readonly payload: Payload | null
}

/** Most characters of topic and content type, whose length the broker's clients choose (up to 64 KiB each). */
const MAX_TEXT = 256

/** A client's text without the two characters that JSON does not escape and SQS always refuses. */
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
