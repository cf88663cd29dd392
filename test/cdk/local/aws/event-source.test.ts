import { ReceiveMessageCommand, SendMessageBatchCommand, SQSClient } from '@aws-sdk/client-sqs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failedIds } from '../../../../cdk/local/aws/event-source.ts'
import { clientOptions } from '../../../../cdk/local/template/plan.ts'
import { assembly, startSmallStack, workerResources } from '../../helpers/assembly.ts'

/** A worker that logs `body:receive count` of each message, and then runs `answer`. */
const worker = (answer: string) => `
  export const handler = async ({ Records }) => {
    for (const { body, attributes } of Records) console.log('saw ' + body + ':' + attributes.ApproximateReceiveCount)
    ${answer}
  }`

async function startWorker(code: string, maxReceiveCount?: number) {
  const { stack, log } = await startSmallStack(await assembly(workerResources(maxReceiveCount), { worker: code }))
  const sqs = new SQSClient(clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!))
  onTestFinished(() => sqs.destroy())
  const send = (...bodies: readonly string[]) =>
    sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: stack.queueUrls.intake!,
        Entries: bodies.map((body, index) => ({ Id: String(index), MessageBody: body })),
      }),
    )
  const seen = () => log.all.filter((line) => line.includes('saw ')).map((line) => line.split('saw ')[1])
  return { stack, log, sqs, send, seen }
}

describe('the event-source emulator', () => {
  it('delivers only failed messages again', async () => {
    const failBad = `return { batchItemFailures: Records.filter((r) => r.body === 'bad').map((r) => ({ itemIdentifier: r.messageId })) }`
    const { log, send, seen } = await startWorker(worker(failBad))

    await send('first', 'bad', 'last')
    await log.until(() => seen().includes('bad:2'))

    // All three would have been redelivered together if all three had failed.
    expect(seen()).toEqual(['first:1', 'bad:1', 'last:1', 'bad:2'])
  })

  it('delivers a whole batch again when the function fails', async () => {
    const { log, send, seen } = await startWorker(
      worker(`if (Records[0].attributes.ApproximateReceiveCount === '1') throw new Error('all of it')`),
    )

    await send('a', 'b')
    await log.until(() => seen().includes('b:2'))

    expect(seen()).toEqual(['a:1', 'b:1', 'a:2', 'b:2'])
  })

  it('leaves a message to the DLQ after too many failures', async () => {
    const { stack, sqs, send, seen } = await startWorker(worker(`throw new Error('never')`), 2)

    await send('poison')
    const { Messages } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: stack.queueUrls['intake-dlq']!, WaitTimeSeconds: 20 }),
    )

    expect(Messages?.[0]?.Body).toBe('poison')
    expect(seen()).toEqual(['poison:1', 'poison:2'])
  })

  it('replaces a sandbox that timed out, and delivers its messages again', async () => {
    const { stack, log, send, seen } = await startWorker(
      worker(
        `if (Records[0].attributes.ApproximateReceiveCount === '1') await new Promise((resolve) => setTimeout(resolve, 60_000))`,
      ),
    )

    await send('slow')
    await log.until(() => seen().includes('slow:2'))

    expect(log.all).toContain('worker: invocation failed: Sandbox.Timedout')
    expect(stack.functions.worker!.statistics).toMatchObject({
      errors: 1,
      initMs: [expect.any(Number), expect.any(Number)],
    })
  })

  it('finishes its current messages before it stops, and deletes them', async () => {
    const { stack, log, send, seen } = await startWorker(
      worker(`await new Promise((resolve) => setTimeout(resolve, 200)); console.log('done')`),
    )

    await send('last')
    await log.until(() => seen().length === 1)
    await stack.stop()

    expect(log.all).toContain('worker: done')
  })
})

describe('failedIds', () => {
  const all = new Set(['a', 'b'])

  it.each([
    ['names the failed message', '{"batchItemFailures":[{"itemIdentifier":"b"}]}', ['b']],
    ['is empty: all succeeded', '{"batchItemFailures":[]}', []],
    ['is null: all succeeded', 'null', []],
    ['is an object without the list: all succeeded', '{}', []],
    ['has a null list: all succeeded', '{"batchItemFailures":null}', []],
    ['names an unknown message: all failed', '{"batchItemFailures":[{"itemIdentifier":"c"}]}', ['a', 'b']],
    ['has an empty id: all failed', '{"batchItemFailures":[{"itemIdentifier":""}]}', ['a', 'b']],
    ['is a string: all failed', '"fine"', ['a', 'b']],
  ])('handles a response that %s', (_what, answer, failed) => {
    expect([...failedIds(answer, all)]).toEqual(failed)
  })
})
