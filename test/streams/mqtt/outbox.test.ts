import { expect, it, vi } from 'vitest'
import { Outbox } from '../../../streams/mqtt/outbox.ts'
import { startAws } from './helpers/aws.ts'

it('Outbox sends the rest of a batch when one of its messages cannot be prepared', async () => {
  const aws = await startAws()
  const stopping = new AbortController()
  const errors: unknown[] = []
  const sent: number[] = []
  const outbox = new Outbox({
    sqs: aws.sqs,
    queueUrl: aws.queues.intake,
    signal: stopping.signal,
    onError: (error) => errors.push(error),
  })
  const failure = new Error('S3 is away')
  const item = (index: number) => ({
    prepare: async () => {
      if (index === 0) throw failure
      return { body: `window ${index}` }
    },
    sent: () => sent.push(index),
  })

  outbox.add(Array.from({ length: 16 }, (_, index) => item(index)))
  await vi.waitFor(() => expect(sent).toHaveLength(15))

  expect(sent).not.toContain(0)
  expect(new Set(errors)).toEqual(new Set([failure]))
  stopping.abort()
  await outbox.settled()
  await aws.stop()
})
