import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { BatchClient, DescribeJobsCommand, SubmitJobCommand, TerminateJobCommand } from '@aws-sdk/client-batch'
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isRetried } from '../../../../cdk/local/aws/batch.ts'
import { startLocalStack } from '../../../../cdk/local/stack.ts'
import { clientOptions } from '../../../../cdk/local/template/plan.ts'
import { temporaryFolder } from '../../../helpers/temporary-folder.ts'
import { assembly, Lines, resource, startSmallStack, workerResources } from '../../helpers/assembly.ts'

const NAMES = {
  jobQueue: 'arn:aws:batch:us-east-1:000000000000:job-queue/jobs',
  jobDefinition: 'arn:aws:batch:us-east-1:000000000000:job-definition/definition:1',
}

/** A stack with a queue of batch jobs that run `script`, and a queue that receives the events of failed jobs. */
async function start(script: string, container: object = {}) {
  const file = join(temporaryFolder(), 'job.mjs')
  await writeFile(file, script)
  const { stack, log } = await startSmallStack(
    await assembly({
      Heard: resource('AWS::SQS::Queue', 'heard', {}),
      HeardPolicy: resource('AWS::SQS::QueuePolicy', 'heard-policy', {
        Queues: [{ Ref: 'Heard' }],
        PolicyDocument: {
          Statement: {
            Effect: 'Allow',
            Principal: { Service: 'events.amazonaws.com' },
            Action: 'sqs:SendMessage',
            Resource: { 'Fn::GetAtt': ['Heard', 'Arn'] },
            Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': ['Failed', 'Arn'] } } },
          },
        },
      }),
      Machines: resource('AWS::Batch::ComputeEnvironment', 'machines', { Type: 'MANAGED' }),
      Jobs: resource('AWS::Batch::JobQueue', 'jobs', { Priority: 1, ComputeEnvironmentOrder: [{ Order: 1 }] }),
      Definition: resource('AWS::Batch::JobDefinition', 'definition', {
        Type: 'container',
        ContainerProperties: { Command: [file], Environment: [{ Name: 'GREETING', Value: 'hello' }], ...container },
        RetryStrategy: {
          Attempts: 2,
          EvaluateOnExit: [
            { Action: 'RETRY', OnExitCode: '75' },
            { Action: 'EXIT', OnReason: '*' },
          ],
        },
      }),
      Failed: resource('AWS::Events::Rule', 'failed', {
        EventPattern: {
          source: ['aws.batch'],
          'detail-type': ['Batch Job State Change'],
          detail: { status: ['FAILED'], jobQueue: [{ Ref: 'Jobs' }] },
        },
        Targets: [
          {
            Arn: { 'Fn::GetAtt': ['Heard', 'Arn'] },
            InputTransformer: {
              InputPathsMap: { 'a-b': '$.detail.parameters.of', why: '$.detail.statusReason' },
              InputTemplate: '{"of":<a-b>,"why":<why>}',
            },
          },
        ],
      }),
    }),
  )
  const batch = new BatchClient({ ...clientOptions(stack.env.AWS_ENDPOINT_URL_BATCH!), maxAttempts: 1 })
  const sqs = new SQSClient(clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!))
  const submit = async (of: string) => {
    const command = new SubmitJobCommand({
      jobName: 'name',
      ...NAMES,
      parameters: { of },
      containerOverrides: { environment: [{ name: 'OF', value: of }] },
    })
    return (await batch.send(command)).jobId!
  }
  const heard = async () => {
    const command = new ReceiveMessageCommand({ QueueUrl: stack.queueUrls.heard!, WaitTimeSeconds: 20 })
    return ((await sqs.send(command)).Messages ?? []).map(({ Body }) => JSON.parse(Body!))
  }
  const statusOf = async (jobId: string) =>
    (await batch.send(new DescribeJobsCommand({ jobs: [jobId] }))).jobs?.[0]?.status
  return { stack, log, batch, submit, heard, statusOf }
}

const LOG_AND_END = (code: string) => `
  const { OF, GREETING, EXECUTION_PROVIDER, AWS_BATCH_JOB_ATTEMPT } = process.env
  console.log(OF, GREETING, EXECUTION_PROVIDER, AWS_BATCH_JOB_ATTEMPT)
  ${code}`

describe('the AWS Batch emulator', () => {
  it('runs a job with its own environment and the definition’s, on the CPU', async () => {
    const { log, submit } = await start(LOG_AND_END(''))

    await submit('first')

    await log.until((lines) => lines.includes('synthesize: first hello cpu 1'))
  })

  it('runs jobs one after another, at low priority', async () => {
    const { log, submit } = await start(`
      import { getPriority } from 'node:os'
      import { setTimeout } from 'node:timers/promises'
      console.log('begins', process.env.OF, getPriority())
      await setTimeout(50)
      console.log('ends', process.env.OF)`)

    await Promise.all([submit('a'), submit('b')])
    const lines = await log.until((all) => all.filter((line) => line.includes('ends')).length === 2)

    const [first, second] = lines[0]!.includes('begins a') ? ['a', 'b'] : ['b', 'a']
    expect(lines.filter((line) => line.startsWith('synthesize'))).toEqual(
      [first, second].flatMap((of) => [`synthesize: begins ${of} 10`, `synthesize: ends ${of}`]),
    )
  })

  it('reports a failed job, and retries only the exit statuses that the definition names', async () => {
    const { log, submit, heard, statusOf } = await start(LOG_AND_END(`process.exit(OF === 'again' ? 75 : 1)`))

    const once = await submit('once')
    const first = await heard()
    await submit('again')
    const second = await heard()

    expect([...first, ...second]).toEqual([
      { of: 'once', why: 'Essential container in task exited' },
      { of: 'again', why: 'Essential container in task exited' },
    ])
    expect(await statusOf(once)).toBe('FAILED')
    expect(log.all.filter((line) => line.includes('cpu'))).toEqual([
      'synthesize: once hello cpu 1',
      'synthesize: again hello cpu 1',
      'synthesize: again hello cpu 2',
    ])
  })

  it('ends a running job with SIGTERM, and a waiting job before it begins', async () => {
    const { log, batch, submit, heard } = await start(`
      process.on('SIGTERM', () => { console.log('asked to end'); process.exit(143) })
      console.log('begins', process.env.OF)
      setInterval(() => {}, 1000)`)
    const running = await submit('running')
    const waiting = await submit('waiting')
    await log.until((lines) => lines.includes('synthesize: begins running'))

    await batch.send(new TerminateJobCommand({ jobId: waiting, reason: 'cancelled' }))
    await batch.send(new TerminateJobCommand({ jobId: running, reason: 'cancelled' }))
    const events = [...(await heard()), ...(await heard())]

    expect(events.map(({ of, why }) => [of, why]).sort()).toEqual([
      ['running', 'cancelled'],
      ['waiting', 'cancelled'],
    ])
    expect(log.all).not.toContain('synthesize: begins waiting')
    expect(log.all).toContain('synthesize: asked to end')
  })

  it('ends a job when the stack stops, and keeps the messages that it sends then', async () => {
    const folder = temporaryFolder()
    const file = join(folder, 'job.mjs')
    await writeFile(
      file,
      `import { createRequire } from 'node:module'
      const { SQSClient, SendMessageCommand } = createRequire(process.cwd() + '/')('@aws-sdk/client-sqs')
      const sqs = new SQSClient({ md5: false, useQueueUrlAsEndpoint: false })
      process.on('SIGTERM', async () => {
        await sqs.send(new SendMessageCommand({ QueueUrl: process.env.QUEUE, MessageBody: 'given back' }))
        process.exit(143)
      })
      console.log('begins')
      setInterval(() => {}, 1000)`,
    )
    const { Queue, ...worker } = workerResources()
    const container = { Command: [file], Environment: [{ Name: 'QUEUE', Value: { Ref: 'Queue' } }] }
    const assemblyDir = await assembly(
      {
        ...worker,
        // Longer than the test: a message that is taken while the stack stops would not be seen again.
        Queue: { ...Queue!, Properties: { ...Queue!.Properties, VisibilityTimeout: 600 } },
        Jobs: resource('AWS::Batch::JobQueue', 'jobs', {}),
        Definition: resource('AWS::Batch::JobDefinition', 'definition', {
          Type: 'container',
          ContainerProperties: container,
        }),
      },
      { worker: 'export const handler = async ({ Records }) => { for (const { body } of Records) console.log(body) }' },
    )
    const dataDir = temporaryFolder()
    const log = new Lines()
    const options = { assemblyDir, dataDir, withoutAdapter: true, log: (_: string, line: string) => log.add(line) }
    const first = await startLocalStack(options)
    const batch = new BatchClient(clientOptions(first.env.AWS_ENDPOINT_URL_BATCH!))
    await batch.send(new SubmitJobCommand({ jobName: 'name', ...NAMES }))
    await log.until((lines) => lines.includes('begins'))

    await first.stop()
    const second = await startLocalStack(options)
    onTestFinished(() => second.stop())

    await log.until((lines) => lines.includes('given back'))
  }, 60_000)

  it('names what it does not support', async () => {
    const { batch, submit } = await start('')
    const array = new SubmitJobCommand({ jobName: 'name', ...NAMES, arrayProperties: { size: 2 } })
    const elsewhere = new SubmitJobCommand({ jobName: 'name', ...NAMES, jobQueue: 'other' })

    await expect(batch.send(array)).rejects.toThrow('does not support arrayProperties')
    await expect(batch.send(elsewhere)).rejects.toMatchObject({ name: 'ClientException' })
    await submit('known')
    await expect(start('', { Volumes: [] })).rejects.toThrow('ContainerProperties.Volumes (definition)')
  })
})

it.each([
  [[], 1, true],
  [[{ Action: 'EXIT', OnReason: '*' }], 1, false],
  [
    [
      { Action: 'RETRY', OnExitCode: '14*' },
      { Action: 'EXIT', OnReason: '*' },
    ],
    143,
    true,
  ],
  [
    [
      { Action: 'retry', OnStatusReason: 'Host EC2*' },
      { Action: 'EXIT', OnReason: '*' },
    ],
    1,
    false,
  ],
])('retry rules %j for exit status %i: retried is %s', (rules, code, expected) => {
  expect(isRetried(rules, { code, reason: 'Essential container in task exited' })).toBe(expected)
})
