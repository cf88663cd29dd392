import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import { connectAsync } from 'mqtt'
import { expect, it, onTestFinished } from 'vitest'
import { startLocalStack } from '../../../cdk/local/stack.ts'
import { clientOptions } from '../../../cdk/local/template/plan.ts'
import { encodeWindow } from '../../../streams/mqtt/frame-codec.ts'
import { makeFrame } from '../../streams/mqtt/helpers/factories.ts'
import { assembly, Lines, resource } from '../helpers/assembly.ts'

it('the local adapter runs with the template’s settings and its role’s rights', async () => {
  const arn = (id: string) => ({ 'Fn::GetAtt': [id, 'Arn'] })
  const allow = (Action: readonly string[], ...Resource: readonly object[]) => ({ Effect: 'Allow', Action, Resource })
  const queues = ['intake', 'intake-dlq', 'results-mqtt'].map((name, index) => [
    `Queue${index}`,
    resource('AWS::SQS::Queue', name, {}),
  ])
  const assemblyDir = await assembly({
    ...Object.fromEntries(queues),
    Bucket: resource('AWS::S3::Bucket', 'raw', {}),
    Role: resource('AWS::IAM::Role', 'task-role', {
      AssumeRolePolicyDocument: {
        Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { Service: 'ecs-tasks.amazonaws.com' } },
      },
      Policies: [
        {
          PolicyDocument: {
            Statement: [
              allow(['sqs:SendMessage'], arn('Queue0')),
              allow(['sqs:ReceiveMessage', 'sqs:DeleteMessage'], arn('Queue2')),
            ],
          },
        },
      ],
    }),
    Task: resource('AWS::ECS::TaskDefinition', 'task', {
      TaskRoleArn: arn('Role'),
      ContainerDefinitions: [{ Name: 'adapter', Environment: [{ Name: 'MQTT_TENANTS', Value: 'icu' }] }],
    }),
  })
  const log = new Lines()
  const stack = await startLocalStack({ assemblyDir, log: (source, line) => log.add(`${source}: ${line}`) })
  const device = await connectAsync(stack.mqttUrl, { protocolVersion: 4 })
  const sqs = new SQSClient(clientOptions(stack.env.AWS_ENDPOINT_URL_SQS!))
  onTestFinished(async () => {
    await device.endAsync(true)
    sqs.destroy()
    await stack.stop()
  })
  const { leads, samples, ...frame } = makeFrame({ length: 5000, sessionStartedAtMs: Date.now() - 10_000 })
  const publish = (topic: string, payload: Buffer) => device.publishAsync(topic, payload, { qos: 1 })

  await publish('ecg/v1/ward/d/window', encodeWindow({ ...frame, leads, samples }))
  await publish('ecg/v1/icu/d/window', encodeWindow({ ...frame, leads, samples }))
  const command = new ReceiveMessageCommand({ QueueUrl: stack.queueUrls.intake!, WaitTimeSeconds: 20 })
  const { Messages = [] } = await sqs.send(command)
  await publish('ecg/v1/icu/d/window', Buffer.from('no window'))
  await log.until((lines) => lines.some((line) => line.startsWith('permissions: ')))

  expect(Messages.map(({ Body }) => JSON.parse(Body!).tenant)).toEqual(['icu'])
  expect(stack.permissions.violations).toMatchObject([
    { principal: 'task-role', action: 'sqs:SendMessage', resource: expect.stringMatching(/:intake-dlq$/) },
  ])
})
