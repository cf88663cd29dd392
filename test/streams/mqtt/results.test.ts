import { getEventListeners } from 'node:events'
import { expect, it, vi } from 'vitest'
import { sendMessage } from '../../../shared/aws/queues.ts'
import type { ResultMessage } from '../../../shared/messages.ts'
import { openTransient } from '../../../streams/mqtt/connection.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { publishResults } from '../../../streams/mqtt/results.ts'
import { startAws } from './helpers/aws.ts'
import { startAedes } from './helpers/brokers.ts'

it('publishResults publishes results without leaking listeners', async () => {
  const [aws, broker] = await Promise.all([startAws(), startAedes()])
  const link = await DeviceLink.open({ url: broker.url, version: 4 })
  const received: string[] = []
  await link.listen('ecg/v1/clinic/d1/results', (payload) => received.push(payload.toString()))
  const results = Array.from({ length: 30 }, (_, index) => JSON.stringify({ ecgId: `e${index}` }))
  for (const result of results) {
    const message: ResultMessage = {
      schema: 1,
      tenant: 'clinic',
      origin: { kind: 'mqtt', device: 'd1', session: 's1' },
      result,
    }
    await sendMessage(aws.sqs, aws.queues.results, JSON.stringify(message))
  }
  const stopping = new AbortController()
  const client = openTransient({ url: broker.url, version: 4 }, 'publisher')

  const publishing = publishResults({
    sqs: aws.sqs,
    queueUrl: aws.queues.results,
    client,
    version: 4,
    signal: stopping.signal,
    onError: (error) => console.error('results', error),
  })
  await vi.waitFor(() => expect(received).toHaveLength(30), 5000)

  // What waits for SQS listens; what is published does not.
  await vi.waitFor(() => expect(getEventListeners(stopping.signal, 'abort').length).toBeLessThan(10))
  expect(received.toSorted()).toEqual(results.toSorted())
  stopping.abort()
  await publishing
  await Promise.all([client.endAsync(), link.close()])
  await broker.close()
  await aws.stop()
})
