/**
 * AWS's default quotas of an account in a region (us-east-1). Reviewed on 2026-11-25: `seen` names the page whose stored copy has the
 * value; without it, the value is from memory. `isHard`: it cannot be raised.
 * @module
 */
export interface Quota {
  readonly value: number
  readonly unit: string
  readonly seen?: string
  readonly isHard?: boolean
}

export const QUOTAS_DATE = '2026-11-25'

const SQS_SCALING = 'Lambda guide, services-sqs-scaling'
const DYNAMO = 'DynamoDB guide, Limits; re:Post, on-demand-table-throttling'
const IOT_PAGE = 'AWS general reference, iot-core'

export const QUOTAS = {
  lambdaConcurrency: { value: 1_000, unit: 'concurrent executions' },
  mappingBatches: { value: 1_000, unit: 'concurrent batches per queue', seen: SQS_SCALING, isHard: true },
  mappingRamp: { value: 300, unit: 'more concurrent batches per minute', seen: SQS_SCALING, isHard: true },
  sqsInFlight: { value: 120_000, unit: 'messages in flight per queue', isHard: true },
  snsPublishes: { value: 30_000, unit: 'messages per second' },
  dynamoPartitionWrites: { value: 1_000, unit: 'write units per second and key', seen: DYNAMO, isHard: true },
  dynamoNewTableWrites: { value: 4_000, unit: 'write units per second, new table', seen: DYNAMO },
  dynamoTableWrites: { value: 40_000, unit: 'write units per second and table', seen: DYNAMO },
  s3Puts: { value: 3_500, unit: 'PUTs per second and prefix, before a split', isHard: true },
  iotPublishes: { value: 20_000, unit: 'inbound messages per second' },
  iotConnections: { value: 500_000, unit: 'connections', seen: 'espressif.com, esp-rainmaker-neo limits' },
  iotConnects: { value: 500, unit: 'connects per second' },
  iotConnectionMessages: { value: 100, unit: 'messages per second and connection', seen: IOT_PAGE, isHard: true },
} as const satisfies Readonly<Record<string, Quota>>
