/**
 * Forwarding to SQS. Loaded only when a gateway uses it, because the AWS SDK takes 30 MB.
 * @module
 */
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { toPayload, waveformKey } from '../../shared/aws/payloads.ts'
import { sendMessage } from '../../shared/aws/queues.ts'
import { CodedError } from '../../shared/errors.ts'
import { type Cloud, REQUEST_MS } from './cloud.ts'
import { type IotCredentialsSource, iotCredentials } from './iot-credentials.ts'

/**
 * With the region from the environment.
 * @param source absent: the credentials also come from the environment; under Greengrass, those of its token exchange service
 */
export function sqsCloudOfEnvironment(queueUrl: string, bucket: string, source?: IotCredentialsSource): Cloud {
  const own = source === undefined ? {} : { credentials: iotCredentials(source) }
  const sqs = new SQSClient({ ...own, md5: false, useQueueUrlAsEndpoint: false })
  return sqsCloud(sqs, new S3Client({ ...own, requestChecksumCalculation: 'WHEN_REQUIRED' }), queueUrl, bucket)
}

export function sqsCloud(sqs: SQSClient, s3: S3Client, queueUrl: string, bucket: string): Cloud {
  return {
    async send({ envelope, packed }, signal) {
      const key = waveformKey('raw', envelope.tenant, envelope.ecgId, envelope.version)
      const timeUp = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
      const sending = async () => {
        const waveform = await toPayload(s3, bucket, key, Buffer.from(packed))
        await sendMessage(sqs, queueUrl, JSON.stringify({ ...envelope, waveform }))
      }
      await within(timeUp, sending())
    },
  }
}

async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } catch (cause) {
    throw new CodedError('unavailable', { field: 'forward' }, { cause })
  } finally {
    signal.removeEventListener('abort', abort)
    work.catch(() => {})
  }
}
