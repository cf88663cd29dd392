/**
 * The way in for whole recordings (an upload, a FHIR resource): packed into the intake queue as the MQTT adapter packs windows.
 *
 * One recording is one ECG with one id and one result; of a longer recording, its first acceptable window is screened.
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
  /** Of the content that the recording was read from: the same content is the same ECG. */
  readonly sha256: string
  /** Of a window of a live session (origin `mqtt`): where in the session it begins, and which version of it this is. */
  readonly window?: { readonly firstSample: number; readonly version: number } | undefined
}

export interface Submitted {
  readonly ecgId: EcgId
  /** Whole windows that the recording has to choose from; a shorter one counts as one. */
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
   * Resolves when the queue has the recording. The same content gives the same id, however often it comes.
   * @throws CodedError `deleted` for an ECG that was deleted: only a person's upload brings one back, no notification or poll does
   */
  async submit({ tenant, origin, recording, sha256, window }: Submission): Promise<Submitted> {
    const { sqs, queueUrl, s3, bucket, results } = this.#options
    const { firstSample, version } = window ?? { firstSample: 0, version: 1 }
    // The same id as a window has that comes by MQTT: by its place in the session, not by its content.
    const ecgId =
      origin.kind === 'mqtt'
        ? streamEcgId({ tenant, source: 'mqtt', device: origin.device, session: origin.session, firstSample })
        : fileEcgId({ tenant, sha256 })
    if (await results.isDeleted(tenant, ecgId)) {
      if (origin.kind !== 'upload') throw new CodedError('deleted', { field: 'ecgId' })
      // What is being removed would take the new one with it.
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
