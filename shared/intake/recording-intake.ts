/**
 * Intake of whole recordings (an upload, a FHIR resource). They are packed into the intake queue as the MQTT adapter packs windows.
 *
 * One recording is one ECG with one id and one result. Of a longer recording, the first acceptable window is screened.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { toPayload, waveformKey } from '../aws/payloads.ts'
import { sendMessage } from '../aws/queues.ts'
import { type EcgId, fileEcgId, streamEcgId } from '../domain/ecg-id.ts'
import { type Recording, sampleCount } from '../domain/recording.ts'
import { windowStarts } from '../domain/window.ts'
import { CodedError } from '../errors.ts'
import type { IntakeMessage, Origin } from '../messages.ts'
import type { ResultStore } from '../store/results.ts'
import { encodeWaveform } from '../waveform/codec.ts'

export interface Submission {
  readonly tenant: string
  readonly origin: Origin
  readonly recording: Recording
  /** SHA-256 of the content that the recording was read from: the same content is the same ECG. */
  readonly sha256: string
  /** For a window of a live session (origin `mqtt`): its first sample within the session, and which version of the window this is. */
  readonly window?: { readonly firstSample: number; readonly version: number } | undefined
}

export interface Submitted {
  readonly ecgId: EcgId
  /** Whole windows in the recording; a shorter recording counts as one. */
  readonly windows: number
}

export interface RecordingIntakeOptions {
  readonly sqs: SQSClient
  readonly queueUrl: string
  readonly s3: S3Client
  readonly bucket: string
  readonly results: Pick<ResultStore, 'isDeleted' | 'isBeingDeleted' | 'undelete' | 'markReceived'>
}

/**
 * Submits recordings to the intake queue.
 * @example
 * const intake = new RecordingIntake({ sqs: sqs(), queueUrl: env('INTAKE_QUEUE_URL'), s3: s3(), bucket: env('RAW_BUCKET'), results })
 * const { ecgId } = await intake.submit({ tenant, origin: { kind: 'upload' }, recording, sha256: sha256(bytes) })
 */
export class RecordingIntake {
  readonly #options: RecordingIntakeOptions

  constructor(options: RecordingIntakeOptions) {
    this.#options = options
  }

  /**
   * Submits a recording. Resolves when the queue has accepted it. The same content always gives the same id.
   * @throws CodedError `deleted` for an ECG that was deleted (only an upload by a person restores one, not a notification or a poll),
   * `unavailable` while its deletion is still in progress
   */
  async submit({ tenant, origin, recording, sha256, window }: Submission): Promise<Submitted> {
    const { sqs, queueUrl, s3, bucket, results } = this.#options
    const { firstSample, version } = window ?? { firstSample: 0, version: 1 }
    // A live window gets the same id as through MQTT: from its place in the session, not from its content.
    const ecgId =
      origin.kind === 'mqtt'
        ? streamEcgId({ tenant, source: 'mqtt', device: origin.device, session: origin.session, firstSample })
        : fileEcgId({ tenant, sha256 })
    if (await results.isDeleted(tenant, ecgId)) {
      if (origin.kind !== 'upload') throw new CodedError('deleted', { field: 'ecgId' })
      // A deletion in progress would also remove the new recording.
      if (await results.isBeingDeleted(tenant, ecgId)) throw new CodedError('unavailable', { field: 'deletion' })
      await results.undelete(tenant, ecgId)
    }
    await results.markReceived(tenant, ecgId, origin)
    const { rateHz, startedAt, person, heartRateBpm, warnings } = recording
    const message: IntakeMessage = {
      schema: 1,
      tenant,
      ecgId,
      origin,
      span: { startedAt: startedAt ?? null, firstSample, durationMs: (1000 * sampleCount(recording)) / rateHz },
      ...(version === 1 ? {} : { version, supersedes: version - 1 }),
      ...(person === undefined ? {} : { person }),
      ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
      ...(warnings === undefined ? {} : { warnings }),
      waveform: await toPayload(s3, bucket, waveformKey('raw', tenant, ecgId, version), encodeWaveform(recording)),
    }
    await sendMessage(sqs, queueUrl, JSON.stringify(message))
    return { ecgId, windows: windowStarts(recording).length }
  }
}
