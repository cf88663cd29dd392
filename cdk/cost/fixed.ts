/**
 * Fixed monthly cost of a template, used or not: each billed resource type by its properties in the template.
 * @module
 */

import { isRecord } from '../../shared/is-record.ts'
import { METRICS } from '../../shared/observe/metrics.ts'
import { PRICES } from './prices.ts'

export const HOURS_A_MONTH = 730

export type Properties = Readonly<Record<string, unknown>>
export interface Resource {
  readonly Type: string
  readonly Properties?: Properties
}
export type Resources = Readonly<Record<string, Resource>>

export interface FixedLine {
  readonly name: string
  readonly count: number
  readonly usd: number
}

interface Billed {
  readonly name: string
  /** Number of billed units of one resource. */
  units(properties: Properties, all: Resources): number
  /** USD per unit and month. */
  usd(properties: Properties, all: Resources): number
}

const one = () => 1
const billed = (name: string, usd: number, units: Billed['units'] = one): Billed => ({ name, units, usd: () => usd })

const BILLED: Readonly<Record<string, Billed>> = {
  'AWS::EC2::VPCEndpoint': billed('interface endpoints, per zone', PRICES.endpointZoneHour * HOURS_A_MONTH, (of) =>
    of.VpcEndpointType === 'Interface' ? list(of.SubnetIds).length : 0,
  ),
  'AWS::EC2::NatGateway': billed('NAT gateways', PRICES.natHour * HOURS_A_MONTH),
  'AWS::EC2::EIP': billed('addresses', PRICES.addressHour * HOURS_A_MONTH),
  'AWS::KMS::Key': billed('KMS keys', PRICES.keyMonth),
  'AWS::SecretsManager::Secret': billed('secrets', PRICES.secretMonth),
  'AWS::WAFv2::WebACL': {
    name: 'web ACLs, with their rules',
    units: one,
    usd: (of) => PRICES.webAclMonth + list(of.Rules).length * PRICES.webAclRuleMonth,
  },
  'AWS::CloudWatch::Alarm': billed('alarm metrics', PRICES.alarmMetricMonth, ({ Metrics }) =>
    Metrics === undefined ? 1 : list(Metrics).filter((each) => isRecord(each) && 'MetricStat' in each).length,
  ),
  'AWS::CloudWatch::Dashboard': billed('dashboards', PRICES.dashboardMonth),
  'AWS::EC2::Volume': billed('adapter disks, GB', PRICES.diskGbMonth, ({ Size }) => Number(Size)),
  'AWS::EC2::Instance': {
    name: 'adapter machines',
    units: one,
    usd: ({ InstanceType }) => machineMonth(InstanceType),
  },
  'AWS::AutoScaling::AutoScalingGroup': {
    name: 'adapter machines, with system disk and address',
    units: ({ DesiredCapacity, MinSize }) => Number(DesiredCapacity ?? MinSize),
    usd: ({ LaunchTemplate }, all) => {
      const id = /"(?:Ref|Fn::GetAtt)":\[?"(\w+)"/.exec(JSON.stringify(LaunchTemplate))?.[1]
      return templateMonth(all[id ?? '']?.Properties?.LaunchTemplateData)
    },
  },
}

/** Types that are free, or free while unused. */
const FREE =
  /^AWS::(IAM|Lambda|SQS|SNS|S3|DynamoDB|ApiGatewayV2|Events|Logs|CodeDeploy|IoT|Batch|ECS|CloudFront|CloudTrail|Budgets|CE|Scheduler|SSM|ECR)::|^AWS::EC2::(VPC|Subnet|RouteTable|SubnetRouteTableAssociation|Route|InternetGateway|VPCGatewayAttachment|SecurityGroup\w*|LaunchTemplate|FlowLog)$|^AWS::(AutoScaling::\w+|KMS::Alias|WAFv2::(WebACLAssociation|LoggingConfiguration)|CloudWatch::CompositeAlarm|CDK::Metadata|SecretsManager::\w+Policy)$|^Custom::/

/**
 * Computes the fixed cost.
 * @returns one line per kind of billed resource, most expensive first, and types without a price here
 * @throws Error for a machine without a price
 */
export function fixedCost(resources: Resources): { lines: readonly FixedLine[]; unpriced: readonly string[] } {
  const lines = new Map<string, FixedLine>()
  const unpriced = new Set<string>()
  const add = (name: string, count: number, usd: number) => {
    const known = lines.get(name) ?? { name, count: 0, usd: 0 }
    if (count > 0) lines.set(name, { name, count: known.count + count, usd: known.usd + usd })
  }
  for (const { Type, Properties = {} } of Object.values(resources)) {
    const kind = BILLED[Type]
    if (kind !== undefined) {
      const units = kind.units(Properties, resources)
      add(kind.name, units, units === 0 ? 0 : units * kind.usd(Properties, resources))
    } else if (!FREE.test(Type)) unpriced.add(Type)
  }
  const metrics = customMetrics()
  add('custom metrics', metrics, metrics * PRICES.metricMonth)
  return { lines: [...lines.values()].sort((a, b) => b.usd - a.usd), unpriced: [...unpriced].sort() }
}

/** Assumed number of values of a metric's second dimension, each of which is billed as a metric. */
const VALUES_OF_A_DIMENSION = 4

const customMetrics = () =>
  Object.values(METRICS).reduce(
    (total, metric) => total + metric.from.length * ('by' in metric ? VALUES_OF_A_DIMENSION : 1),
    0,
  )

function templateMonth(template: unknown): number {
  const { InstanceType, BlockDeviceMappings, NetworkInterfaces } = isRecord(template) ? template : {}
  const disks = list(BlockDeviceMappings).map((each) =>
    isRecord(each) && isRecord(each.Ebs) ? Number(each.Ebs.VolumeSize) : 0,
  )
  const hasAddress = list(NetworkInterfaces).some((each) => isRecord(each) && each.AssociatePublicIpAddress === true)
  return (
    machineMonth(InstanceType) +
    disks.reduce((total, gb) => total + gb, 0) * PRICES.diskGbMonth +
    (hasAddress ? PRICES.addressHour * HOURS_A_MONTH : 0)
  )
}

function machineMonth(type: unknown): number {
  const prices: Readonly<Record<string, number>> = PRICES.instanceHour
  const hour = prices[String(type)]
  if (hour === undefined) throw new Error(`no price for the machine ${String(type)}: add it to cdk/cost/prices.ts`)
  return hour * HOURS_A_MONTH
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
