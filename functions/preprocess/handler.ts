/**
 * Lambda `preprocess`: SQS `intake` → quality gate and signal chain → SQS `screening`; the raw window is kept in S3.
 * @module
 */
import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { fromPayload, putObject, toPayload, waveformKey } from '../../shared/aws/payloads.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { ResultStore } from '../../shared/aws/result-store.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { timeOfSample } from '../../shared/domain/window.ts'
import { createLogger } from '../../shared/logging.ts'
import { IntakeMessage, type ScreeningMessage } from '../../shared/messages.ts'
import { createMetrics, METRICS } from '../../shared/metrics.ts'
import { chooseWindow } from '../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { encodeClean } from '../../shared/waveform/clean-codec.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'

const logger = createLogger('preprocess')
const metrics = createMetrics('preprocess')
const bucket = env('RAW_BUCKET')
const screeningQueue = env('SCREENING_QUEUE_URL')
const results = new ResultStore(dynamo(), env('RESULTS_TABLE'))
const preparer = new WindowPreparer(CARDIACNETS_V1)

export const handler = sqsHandler(
  IntakeMessage,
  { sqs: sqs(), deadLetterQueueUrl: env('INTAKE_DLQ_URL'), logger, metrics },
  async ({ heartRateBpm, waveform: payload, ...envelope }) => {
    const { tenant, ecgId, span } = envelope
    const packed = await results.unlessDeleted(tenant, ecgId, fromPayload(s3(), bucket, payload))
    if (packed === undefined) return
    const waveform = decodeWaveform(packed)
    const startedMs = performance.now()
    const { firstSample, durationMs, inputSha256, prepared } = chooseWindow(preparer, waveform, heartRateBpm)
    const { quality, clean } = prepared
    metrics.add(METRICS.preprocessMs, performance.now() - startedMs)
    const [cleanPayload] = await Promise.all([
      clean && toPayload(s3(), bucket, waveformKey('clean', tenant, ecgId), encodeClean(clean)),
      // A claim check already lies there.
      'inline' in payload && putObject(s3(), bucket, waveformKey('raw', tenant, ecgId), packed),
    ])
    const message: ScreeningMessage = {
      ...envelope,
      span: {
        startedAt: timeOfSample(span.startedAt, waveform.rateHz, firstSample),
        firstSample: span.firstSample + firstSample,
        durationMs,
      },
      profile: CARDIACNETS_V1.name,
      inputSha256,
      quality,
      ...(cleanPayload === undefined ? {} : { clean: cleanPayload }),
    }
    await sendMessage(sqs(), screeningQueue, JSON.stringify(message))
  },
)
