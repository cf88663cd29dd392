/** Replaces the screening functions: answers each window at once, with the checksum of its samples. */
import type { Message } from '@aws-sdk/client-sqs'
import { fromPayload } from '../../../../shared/aws/payloads.ts'
import { consume, sendMessage } from '../../../../shared/aws/queues.ts'
import type { Waveform } from '../../../../shared/domain/waveform.ts'
import { IntakeMessage, parseMessage, type ResultMessage } from '../../../../shared/messages.ts'
import { decodeWaveform, waveformSha256 } from '../../../../shared/waveform/codec.ts'
import type { Aws } from './aws.ts'

export interface ScreenedWindow {
  readonly message: IntakeMessage
  readonly waveform: Waveform
  readonly traceparent: string | undefined
}

export interface Responder {
  /** Every window that came, repeats as well. */
  readonly windows: readonly ScreenedWindow[]
  stop(): Promise<void>
}

export function startResponder({ sqs, s3, queues, bucket }: Aws): Responder {
  const windows: ScreenedWindow[] = []
  const stopping = new AbortController()
  const answer = async (sqsMessage: Message) => {
    const message = parseMessage(IntakeMessage, sqsMessage.Body!)
    const waveform = decodeWaveform(await fromPayload(s3, bucket, message.waveform))
    const traceparent = sqsMessage.MessageAttributes?.traceparent?.StringValue
    windows.push({ message, waveform, traceparent })
    const { ecgId, version = 1, span } = message
    const result = JSON.stringify({ ecgId, version, span, findings: [], input: waveformSha256(waveform) })
    const { tenant, origin } = message
    const body: ResultMessage = { schema: 1, tenant, origin, result }
    await sendMessage(sqs, queues.results, JSON.stringify(body), traceparent === undefined ? {} : { traceparent })
    return sqsMessage
  }
  const running = consume(sqs, queues.intake, (messages) => Promise.all(messages.map(answer)), {
    signal: stopping.signal,
    onError: (error) => console.error('responder', error),
  })
  return {
    windows,
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}
