import { expect, it } from 'vitest'
import { startLocalStack } from '../../../cdk/local/stack.ts'
import { assembly, functionResource, resource } from '../helpers/assembly.ts'

const start = async (resources: Parameters<typeof assembly>[0]) =>
  startLocalStack({ assemblyDir: await assembly(resources), withoutAdapter: true })

it.each([
  ['a resource type', { Stream: resource('AWS::Kinesis::Stream', 'stream', {}) }, 'AWS::Kinesis::Stream (Stream)'],
  [
    'a property',
    { Queue: resource('AWS::SQS::Queue', 'q', { FifoQueue: true }) },
    'FifoQueue of AWS::SQS::Queue (Queue)',
  ],
  ['a runtime', { Fn: functionResource('f', { Runtime: 'python3.14' }) }, 'nodejs24.x only, not python3.14'],
  [
    'a reference that leads nowhere',
    { Queue: resource('AWS::SQS::Queue', 'q', { VisibilityTimeout: { Ref: 'Gone' } }) },
    'the template refers to Gone',
  ],
  [
    'an attribute that is not there',
    {
      Queue: resource('AWS::SQS::Queue', 'q', {}),
      Other: resource('AWS::SQS::Queue', 'o', { VisibilityTimeout: { 'Fn::GetAtt': ['Queue', 'Colour'] } }),
    },
    'Queue.Colour',
  ],
])('%s that it does not support is an error that names it', async (_what, resources, message) => {
  const starting = start(resources)

  await expect(starting).rejects.toThrow(message)
})
