/**
 * Lambda `publish`: SQS `results-mqtt` → results topics of the devices at AWS IoT Core, where no adapter publishes them.
 * @module
 */
import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane'
import { env, sqs } from '../../shared/aws/clients.ts'
import { sqsHandler } from '../../shared/aws/sqs-handler.ts'
import type { DeviceResults } from '../../shared/domain/result-summary.ts'
import { type Origin, ResultMessage } from '../../shared/messages.ts'
import { createLogger } from '../../shared/observe/logging.ts'
import { createMetrics } from '../../shared/observe/metrics.ts'
import { traceHeaders } from '../../shared/observe/tracing.ts'
import { resultPublication } from '../../streams/mqtt/result-publication.ts'

const logger = createLogger('publish')
const metrics = createMetrics('publish')
const form: DeviceResults = process.env.DEVICE_RESULTS === 'summary' ? 'summary' : 'whole'
const iot = new IoTDataPlaneClient({})

export const handler = sqsHandler(
  ResultMessage,
  {
    sqs: sqs(),
    deadLetterQueueUrl: env('RESULTS_MQTT_DLQ_URL'),
    logger,
    metrics,
    audit: { action: 'result.publish', of: ({ tenant, origin }) => ({ tenant, device: deviceOf(origin) }) },
  },
  async (message) => {
    const { topic, payload, contentType, expiryS, userProperties } = resultPublication(
      message,
      traceHeaders().traceparent,
      form,
    )
    const properties = Object.entries(userProperties).map(([name, value]) => ({ [name]: value }))
    await iot.send(
      new PublishCommand({
        topic,
        payload: Buffer.from(payload),
        qos: 1,
        contentType,
        messageExpiry: expiryS,
        userProperties: JSON.stringify(properties),
      }),
    )
  },
)

function deviceOf(origin: Origin): string | undefined {
  return origin.kind === 'mqtt' ? origin.device : undefined
}
