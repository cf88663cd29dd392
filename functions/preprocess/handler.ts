/**
 * Lambda `preprocess`: SQS `intake` → quality gate and signal chain → SQS `screening`; the raw window is kept in S3.
 * @module
 */
import { dynamo, env, s3, sqs } from '../../shared/aws/clients.ts'
import { fromPayload, putObject, toPayload, waveformKey } from '../../shared/aws/payloads.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { timeOfSample } from '../../shared/domain/window.ts'
import { isCounted } from '../../shared/inference/population.ts'
import { IntakeInput, type IntakeMessage, type ScreeningMessage } from '../../shared/messages.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { chooseWindow } from '../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { Turns } from '../../shared/turns.ts'
import { encodeClean } from '../../shared/waveform/clean-codec.ts'
import { decodeWaveform, encodeWaveform } from '../../shared/waveform/codec.ts'
import { intakeEnvelope, readDeviceWindow } from '../../streams/mqtt/intake-message.ts'

const logger = createLogger('preprocess')
const metrics = createMetrics('preprocess')
const bucket = env('RAW_BUCKET')
const screeningQueue = env('SCREENING_QUEUE_URL')
const results = new ResultStore(dynamo(), env('RESULTS_TABLE'))
const preparer = new WindowPreparer(CARDIACNETS_V1)
const turns = new Turns()

export const handler = sqsHandler(
  IntakeInput,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('INTAKE_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'waveform.write', of: (input) => ('waveform' in input ? ofWhich(input) : {}) },
  },
  async (input, touches) => {
    const arrived = 'waveform' in input ? ofMessage(input) : ofDevice(input)
    if (arrived === undefined) {
      logger.info('a last window was too short to be screened')
      return
    }
    const { heartRateBpm, warnings = [], ...envelope } = arrived.envelope
    touches(ofWhich(envelope))
    const { tenant, ecgId, span, version } = envelope
    const packed = await results.unlessDeleted(tenant, ecgId, arrived.packed())
    if (packed === undefined) return
    await turns.next()
    const waveform = decodeWaveform(packed)
    const startedMs = performance.now()
    const { firstSample, durationMs, inputSha256, prepared } = chooseWindow(preparer, waveform, heartRateBpm)
    const { quality, measurements, clean } = prepared
    metrics.add(METRICS.preprocessMs, performance.now() - startedMs)
    const [cleanPayload] = await Promise.all([
      clean && toPayload(s3(), bucket, waveformKey('clean', tenant, ecgId, version), encodeClean(clean)),
      arrived.isStored || putObject(s3(), bucket, waveformKey('raw', tenant, ecgId, version), packed),
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
      ...(warnings.length + prepared.warnings.length === 0 ? {} : { warnings: [...warnings, ...prepared.warnings] }),
      ...(measurements === undefined ? {} : { measurements }),
      ...(cleanPayload === undefined ? {} : { clean: cleanPayload }),
      ...(isCounted(envelope.origin, span.firstSample + firstSample, waveform.rateHz) ? { isCounted: true } : {}),
    }
    await sendMessage(sqs(), screeningQueue, JSON.stringify(message))
  },
)

const ofWhich = ({ tenant, ecgId }: Pick<IntakeMessage, 'tenant' | 'ecgId'>) => ({ tenant, ecgId })

/** An ECG as it arrived: its metadata, and its samples as packed by `encodeWaveform`. */
interface Arrived {
  readonly envelope: Omit<IntakeMessage, 'waveform'>
  packed(): Promise<Uint8Array>
  /** The samples are already in the bucket. */
  readonly isStored: boolean
}

function ofMessage({ waveform, ...envelope }: IntakeMessage): Arrived {
  return { envelope, packed: () => fromPayload(s3(), bucket, waveform), isStored: !('inline' in waveform) }
}

/** A window that a device sent directly, without our adapter. */
function ofDevice({ topic, data, receivedAtMs }: Exclude<IntakeInput, IntakeMessage>): Arrived | undefined {
  const window = readDeviceWindow(topic, Buffer.from(data, 'base64'), receivedAtMs)
  return (
    window && {
      envelope: intakeEnvelope(window),
      packed: async () => encodeWaveform(window.waveform),
      isStored: false,
    }
  )
}
