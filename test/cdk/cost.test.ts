import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { memorySensitivity } from '../../cdk/cost/estimate.ts'
import { fixedCost, type Resources } from '../../cdk/cost/fixed.ts'
import { ehrCost, type Path, sum, windowCost } from '../../cdk/cost/marginal.ts'
import { readMeasured } from '../../cdk/cost/measured.ts'
import { withReports } from '../../cdk/cost/page.ts'
import { scaleReport } from '../../cdk/cost/scale.ts'

const pageOf = (name: string) => readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8')

/** Synthesizes two sites on a machine that can be busy. */
const SYNTHESES_MS = 180_000

const path: Path = {
  ...readMeasured().screen,
  resultBytes: readMeasured().message.resultStoredP50Bytes,
  logBytes: readMeasured().logBytes,
  architecture: 'arm64',
  memory: { preprocess: 1024, screen: 1769, report: 512 },
}

it.each(['cost.md', 'scale.md'])(
  'docs/%s matches the output of the command (otherwise run npm run -s cost -- --docs)',
  { timeout: SYNTHESES_MS },
  (name) => {
    const page = pageOf(name)

    expect(withReports(page)).toBe(page)
  },
)

describe('the cost of a million windows', () => {
  it('is at most 10 USD on the adapter path', () => {
    expect(sum(windowCost(path))).toBeLessThan(10)
  })

  it('rises by two write units and a fraction of a batch with an EHR', () => {
    const { 'DynamoDB sessions': sessions, 'SQS results-fhir': sqs } = ehrCost(path)

    expect(sessions).toBeCloseTo(1.25)
    expect(sqs).toBeCloseTo(0.48)
  })

  it('rises by a write unit per kilobyte of result', () => {
    const { DynamoDB: now } = windowCost(path)
    const { DynamoDB: more } = windowCost({ ...path, resultBytes: path.resultBytes + 1024 })

    expect(more! - now!).toBeCloseTo(0.625)
  })

  it('rises on x64, and with unneeded memory', () => {
    const [small, large] = memorySensitivity(path, [1769, 3538])

    expect(small!.x64 / small!.arm64).toBeGreaterThan(1.1)
    expect(large!.arm64).toBeGreaterThan(1.5 * small!.arm64)
  })
})

describe('the fixed cost', () => {
  const cost = (...resources: [type: string, properties?: object][]) =>
    fixedCost(
      Object.fromEntries(resources.map(([Type, Properties], i) => [`R${i}`, { Type, Properties }])) as Resources,
    ) // as a template has them
  const line = (name: string, of: ReturnType<typeof cost>) => of.lines.find((each) => each.name.includes(name))

  it('counts resources in their billing units', () => {
    const of = cost(
      ['AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Interface', SubnetIds: ['a', 'b'] }],
      ['AWS::EC2::VPCEndpoint', { VpcEndpointType: 'Gateway' }],
      ['AWS::CloudWatch::Alarm', { MetricName: 'Errors' }],
      ['AWS::CloudWatch::Alarm', { Metrics: [{ Expression: 'a + b' }, { MetricStat: {} }, { MetricStat: {} }] }],
      ['AWS::WAFv2::WebACL', { Rules: [{}, {}] }],
      ['AWS::SQS::Queue'],
    )

    expect(line('endpoints', of)).toMatchObject({ count: 2, usd: 14.6 })
    expect(line('alarm metrics', of)).toMatchObject({ count: 3 })
    expect(line('web ACLs', of)).toMatchObject({ count: 1, usd: 7 })
    expect(of.unpriced).toEqual([])
  })

  it('takes machines from the launch template, times the size of the group', () => {
    const resources: Resources = {
      Machine: {
        Type: 'AWS::EC2::LaunchTemplate',
        Properties: {
          LaunchTemplateData: {
            InstanceType: 't4g.medium',
            BlockDeviceMappings: [{ DeviceName: '/dev/xvda', Ebs: { VolumeSize: 30 } }],
            NetworkInterfaces: [{ AssociatePublicIpAddress: true }],
          },
        },
      },
      Group: {
        Type: 'AWS::AutoScaling::AutoScalingGroup',
        Properties: { MinSize: '2', LaunchTemplate: { LaunchTemplateId: { Ref: 'Machine' } } },
      },
    }

    expect(line('machines', fixedCost(resources))).toMatchObject({
      count: 2,
      usd: 2 * (0.0336 * 730 + 30 * 0.08 + 0.005 * 730),
    })
  })

  it('names resources without a price, and refuses machines without one', () => {
    expect(cost(['AWS::Kinesis::Stream']).unpriced).toEqual(['AWS::Kinesis::Stream'])
    expect(() => cost(['AWS::EC2::Instance', { InstanceType: 'u-24tb1.metal' }])).toThrow('u-24tb1.metal')
  })
})

describe('the scale report', () => {
  it('marks exactly the limits that a number of devices reaches', () => {
    const met = (devices: number) => [...scaleReport(devices).matchAll(/^\| \*\*([\d,]+)\*\*/gm)].map(([, at]) => at)

    expect(met(500)).toEqual(['50'])
    expect(met(20_000)).toEqual(['50', '860', '1,000', '10,000', '10,000', '10,000', '20,000'])
  })
})
