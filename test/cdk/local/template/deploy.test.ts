import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { startLocalStack } from '../../../../cdk/local/stack.ts'
import { assembly, functionResource, resource } from '../../helpers/assembly.ts'

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
    'an unknown reference',
    { Queue: resource('AWS::SQS::Queue', 'q', { VisibilityTimeout: { Ref: 'Gone' } }) },
    'the template refers to Gone',
  ],
  [
    'an unknown attribute',
    {
      Queue: resource('AWS::SQS::Queue', 'q', {}),
      Other: resource('AWS::SQS::Queue', 'o', { VisibilityTimeout: { 'Fn::GetAtt': ['Queue', 'Colour'] } }),
    },
    'Queue.Colour',
  ],
])('deploying an unsupported template names %s', async (_what, resources, message) => {
  const starting = start(resources)

  await expect(starting).rejects.toThrow(message)
})

it('a deployed function finds its layer where Lambda would unpack it', async () => {
  const code = `import { readFileSync } from 'node:fs'
    export const handler = async () => readFileSync(process.env.MODEL_DIR + '/manifest.json', 'utf8')`
  const resources = {
    Layer: resource('AWS::Lambda::LayerVersion', 'model', { Content: { S3Bucket: 'assets', S3Key: 'model.zip' } }),
    Fn: functionResource('f', {
      Layers: [{ Ref: 'Layer' }],
      Environment: { Variables: { MODEL_DIR: '/opt/model' } },
    }),
  }
  const assemblyDir = await assembly(resources, { f: code })
  mkdirSync(join(assemblyDir, 'asset.model/model'), { recursive: true })
  writeFileSync(join(assemblyDir, 'asset.model/model/manifest.json'), 'the bundle')
  const stack = await startLocalStack({ assemblyDir, withoutAdapter: true })
  onTestFinished(() => stack.stop())

  const answer = await stack.functions.f!.invoke('{}')

  expect(JSON.parse(answer)).toBe('the bundle')
})
