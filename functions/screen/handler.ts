/**
 * Lambda `screen`: SQS `screening` → result in DynamoDB → SNS `results`.
 * @module
 */
import { PublishCommand } from '@aws-sdk/client-sns'
import { dynamo, env, s3, sns, sqs } from '../../shared/aws/clients.ts'
import { fromPayload, removeEcgObjects } from '../../shared/aws/payloads.ts'
import { messageAttributes } from '../../shared/aws/queues.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import { correcting, type Result } from '../../shared/domain/result.ts'
import { siteIn } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { Population, readReference, referenceSha256 } from '../../shared/inference/population.ts'
import { screenWindow } from '../../shared/inference/screen.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { readSite } from '../../shared/inference/site-calibration.ts'
import { type ResultMessage, ScreeningMessage } from '../../shared/messages.ts'
import { createLogger, describeError } from '../../shared/observe/logging.ts'
import { createMetrics, METRICS } from '../../shared/observe/metrics.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { DriftStore } from '../../shared/store/drift.ts'
import { PopulationStore } from '../../shared/store/population.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { Turns } from '../../shared/turns.ts'
import { decodeClean } from '../../shared/waveform/clean-codec.ts'

const logger = createLogger('screen')
const metrics = createMetrics('screen')
const bucket = env('RAW_BUCKET')
const topic = env('RESULTS_TOPIC_ARN')
const codeVersion = env('CODE_VERSION')
const { ECG_DAYS } = process.env
const results = new ResultStore(dynamo(), env('RESULTS_TABLE'), ECG_DAYS ? Number(ECG_DAYS) : undefined)
const bundle = await readBundle(env('MODEL_DIR'), CARDIACNETS_V1.name)
const site = siteIn(bundle.directory)
const screener = await Screener.load(bundle, site === undefined ? undefined : await readSite(site, bundle))
const reference = await readReference(bundle.directory, bundle)
const population = reference && new Population(reference, bundle, screener.site)
const counts = reference && new PopulationStore(dynamo(), env('RESULTS_TABLE'), referenceSha256(reference))

const drift = new DriftStore(dynamo(), env('RESULTS_TABLE'))
const turns = new Turns()

export const handler = sqsHandler(
  ScreeningMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('SCREENING_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'result.write', of: ({ tenant, ecgId }) => ({ tenant, ecgId }) },
  },
  async (message) => {
    const { tenant, ecgId, origin, clean } = message
    const bytes = clean && (await results.unlessDeleted(tenant, ecgId, fromPayload(s3(), bucket, clean)))
    if (clean !== undefined && bytes === undefined) return
    // ONNX Runtime computes on this thread.
    await turns.next()
    const window = bytes && decodeClean(bytes, CARDIACNETS_V1.samples)
    const startedMs = performance.now()
    const screened = await screenWindow(screener, message, window, codeVersion)
    const { version } = screened
    const result = version === 1 ? screened : correcting(screened, await results.before(tenant, ecgId, version))
    if (window !== undefined) metrics.add(METRICS.inferenceMs, performance.now() - startedMs)
    const stored = await results.putOnce(tenant, origin, result, new Date(), message.person)
    if (stored.kind === 'deleted') {
      await removeEcgObjects(s3(), bucket, tenant, ecgId)
      return
    }
    // Also published when the result already existed, because the first attempt may have failed between the two steps.
    const body: ResultMessage = { schema: 1, tenant, origin, result: stored.json }
    await sns().send(
      new PublishCommand({
        TopicArn: topic,
        Message: JSON.stringify(body),
        MessageAttributes: messageAttributes({ origin: origin.kind }),
      }),
    )
    if (stored.kind !== 'new') return
    count(result)
    if (message.isCounted) await compare(result)
  },
)

function count({ status, quality, ood }: Result): void {
  if (status === 'screened') metrics.add(METRICS.windowsScreened)
  else {
    metrics.add(METRICS.windowsRefused)
    metrics.addBy('reason', quality.reasons[0] ?? 'unknown', [METRICS.refusals, 1])
  }
  if (ood?.flagged) metrics.add(METRICS.windowsUnfamiliar)
}

/** Adds the result to the population, and reports the drift when the population is complete. A failure here never fails the ECG. */
async function compare(result: Result): Promise<void> {
  if (population === undefined || counts === undefined) return
  try {
    const complete = await counts.add(population.binsOf(result), new Date())
    if (complete === undefined) return
    const { scores, quality } = population.shifts(complete)
    metrics.add(METRICS.qualityShift, quality)
    for (const [condition, shift] of scores) metrics.addBy('condition', condition, [METRICS.scoreShift, shift])
    const shifts = [...scores].map(([condition, shift]) => ({ condition, shift }))
    await drift.put({ at: new Date().toISOString(), quality, scores: shifts })
  } catch (error) {
    logger.warn('not counted in the population', describeError(error))
  }
}
