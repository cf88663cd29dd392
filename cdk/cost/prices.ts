/**
 * AWS list prices, on demand, without free tiers, in USD. No command downloads them: check before you rely on a total.
 * @module
 */

/** Date of the last review by the author: from memory, except where `seenAt` says otherwise. */
export const PRICES_DATE = '2026-11-25'

/** Regions with prices here. */
export const REGIONS = ['us-east-1'] as const

export const PRICES = {
  lambdaGbSecond: { arm64: 0.0000133334, x64: 0.0000166667 },
  lambdaMillionRequests: 0.2,
  /** Requests of 64 KB each. */
  sqsMillionRequests: 0.4,
  snsMillionPublishes: 0.5,
  dynamoMillionWriteUnits: 0.625,
  dynamoMillionReadUnits: 0.125,
  dynamoGbMonth: 0.25,
  dynamoBackupGbMonth: 0.2,
  s3MillionPuts: 5,
  s3GbMonth: 0.023,
  logsGb: 0.5,
  /** For the first 10,000. */
  metricMonth: 0.3,
  alarmMetricMonth: 0.1,
  dashboardMonth: 3,
  iotMillionConnectionMinutes: 0.08,
  /** Messages of 5 KB each, in tiers: [millions, USD per million]. */
  iotMillionMessages: [
    [1_000, 1],
    [4_000, 0.8],
    [Number.POSITIVE_INFINITY, 0.7],
  ],
  /** Each rule that matches, and each of its actions, per 5 KB. */
  iotMillionRuleSteps: 0.15,
  endpointZoneHour: 0.01,
  natHour: 0.045,
  addressHour: 0.005,
  keyMonth: 1,
  secretMonth: 0.4,
  webAclMonth: 5,
  webAclRuleMonth: 1,
  trailMillionEvents: 1,
  diskGbMonth: 0.08,
  instanceHour: {
    't4g.small': 0.0168,
    't4g.medium': 0.0336,
    't4g.large': 0.0672,
    't3.small': 0.0208,
    't3.medium': 0.0416,
    't3.large': 0.0832,
    'm7g.medium': 0.0408,
    'm7g.large': 0.0816,
    'c7g.medium': 0.0363,
    'c7g.large': 0.0725,
    'c7g.xlarge': 0.145,
    'm7i.large': 0.1008,
  },
  /** g6.xlarge (NVIDIA L4), on demand; spot often costs a third to a half. */
  gpuHour: 0.8048,
} as const satisfies Readonly<Record<string, unknown>>

/*
 * Where some of them were read, in stored copies of public pages; the others are from memory.
 * - lambdaGbSecond: artillery 2.0.28, lib/platform/aws-lambda/prices.js
 * - lambdaMillionRequests: aws.amazon.com/lambda/pricing, as api-evangelist/aws-lambda quotes it (2026-09-20)
 * - dynamoMillionWriteUnits: airbyte.com, DynamoDB pricing (after November 2024)
 * - dynamoMillionReadUnits: airbyte.com, DynamoDB pricing (after November 2024)
 * - iotMillionConnectionMinutes: aws.amazon.com/iot-core/pricing, as api-evangelist/amazon-iot-core quotes it (2026-09-20)
 * - iotMillionMessages: the same, first step only
 */
