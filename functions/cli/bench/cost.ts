/**
 * Marginal AWS cost of a million windows on the adapter path, from what was measured here and a dated price list.
 * Storage, IoT Core and what runs all day (the adapter's instance, logs kept) are lines of their own and not in the sum.
 * @module
 */
import { round } from './statistics.ts'

/** List prices of us-east-1, on demand, no free tier, USD, as known on 2026-11-24. Nothing is fetched: check before you rely on them. */
const PRICES = {
  lambdaGbSecondArm: 0.0000133334,
  lambdaMillionRequests: 0.2,
  sqsMillionRequests: 0.4,
  snsMillionPublishes: 0.5,
  dynamoMillionWriteUnits: 0.625,
  dynamoMillionReadUnits: 0.125,
  s3MillionPuts: 5,
  logsGb: 0.5,
} as const

/** As the template sets them. A full vCPU comes with 1769 MB. */
const MEMORY_MB = { preprocess: 1024, screen: 1769 } as const
const VCPU_MB = 1769

/** Waiting for S3, SQS, DynamoDB and SNS that a function is billed for, one window a batch: an assumption, the local stack cannot tell. */
const NETWORK_WAIT_MS = { preprocess: 30, screen: 25 } as const

/** Log lines a window: three EMF documents and Lambda's own START, END and REPORT of two functions. */
const LOG_BYTES = 2500

/** Send, receive and delete of one message; batches make the last two cheaper. */
const REQUESTS_A_MESSAGE = 3
const QUEUES = 3

interface Measured {
  readonly prepareMs: number
  readonly inferenceMs: number
  /** Stored result, compressed. */
  readonly resultBytes: number
}

export interface CostFigures {
  readonly usdPerMillionWindows: number
  readonly parts: Readonly<Record<string, number>>
  /** Not in the sum. */
  readonly storage: Readonly<Record<string, number>>
}

export function marginalCost({ prepareMs, inferenceMs, resultBytes }: Measured): CostFigures {
  const lambda = (memoryMb: number, computeMs: number, waitMs: number) => {
    const billedMs = computeMs * Math.max(1, VCPU_MB / memoryMb) + waitMs
    return PRICES.lambdaMillionRequests + billedMs * 1000 * (memoryMb / 1024) * PRICES.lambdaGbSecondArm
  }
  // The item and its index entry (keys and what a list shows, below 1 KB); a conditional put costs what a put costs.
  const writeUnits = Math.ceil((resultBytes + 400) / 1024) + 1
  const parts = {
    lambdaPreprocess: lambda(MEMORY_MB.preprocess, prepareMs, NETWORK_WAIT_MS.preprocess),
    lambdaScreen: lambda(MEMORY_MB.screen, inferenceMs, NETWORK_WAIT_MS.screen),
    sqs: QUEUES * REQUESTS_A_MESSAGE * PRICES.sqsMillionRequests,
    sns: PRICES.snsMillionPublishes,
    // And one consistent read: was the ECG deleted?
    dynamo: writeUnits * PRICES.dynamoMillionWriteUnits + PRICES.dynamoMillionReadUnits,
    logs: (LOG_BYTES / 1000) * PRICES.logsGb,
  }
  const total = Object.values(parts).reduce((sum, part) => sum + part, 0)
  return {
    usdPerMillionWindows: round(total),
    parts: Object.fromEntries(Object.entries(parts).map(([name, usd]) => [name, round(usd)])),
    storage: { s3Puts: PRICES.s3MillionPuts },
  }
}
