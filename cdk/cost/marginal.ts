/**
 * Marginal AWS cost of a million windows on the adapter path, from measurements and a dated price list (`prices.ts`). Excludes storage, IoT
 * Core and fixed costs.
 * @module
 */
import { PRICES } from './prices.ts'

export type Architecture = keyof typeof PRICES.lambdaGbSecond

/** What the cost of a window depends on. */
export interface Path {
  readonly prepareMs: number
  readonly inferenceMs: number
  /** Stored result, compressed. */
  readonly resultBytes: number
  /** Our own log lines. */
  readonly logBytes: number
  readonly architecture: Architecture
  /** Memory in the template, MB. */
  readonly memory: { readonly preprocess: number; readonly screen: number; readonly report: number }
}

export type Parts = Readonly<Record<string, number>>

/** Memory that comes with a full vCPU, MB. */
const VCPU_MB = 1769

/**
 * Billed time of waiting for S3, SQS, DynamoDB and SNS, with one window per batch. An assumption, because the local stack cannot measure
 * it.
 */
const NETWORK_WAIT_MS = { preprocess: 30, screen: 25, report: 25 } as const

/** Lambda's own START, END and REPORT lines, with the 26 bytes that CloudWatch adds to each event. An assumption. */
const LAMBDA_LOG_BYTES = 430

/** Send, receive and delete of one message; batches make the last two cheaper. */
const REQUESTS_A_MESSAGE = 3
const QUEUES = 3

/** `report` gathers messages for a second (`cdk/constructs/report.ts`), so batches are full where many devices are live. */
const REPORT_BATCH = 10

/** @returns USD per million windows, by part; with one window per batch, the worst case */
export function windowCost(path: Path): Parts {
  const { memory, prepareMs, inferenceMs, resultBytes, logBytes } = path
  return {
    'Lambda preprocess': lambdaCost(
      path.architecture,
      memory.preprocess,
      busyMs('preprocess', memory.preprocess, prepareMs),
    ),
    'Lambda screen': lambdaCost(path.architecture, memory.screen, busyMs('screen', memory.screen, inferenceMs)),
    SQS: QUEUES * REQUESTS_A_MESSAGE * PRICES.sqsMillionRequests,
    SNS: PRICES.snsMillionPublishes,
    // Includes one consistent read: was the ECG deleted?
    DynamoDB: writeUnitsOf(resultBytes) * PRICES.dynamoMillionWriteUnits + PRICES.dynamoMillionReadUnits,
    Logs: logs(logBytes + 2 * LAMBDA_LOG_BYTES),
  }
}

/** Additional cost of a site with an EHR, whether a window is reported or only kept until its session ends. */
export function ehrCost({ architecture, memory }: Pick<Path, 'architecture' | 'memory'>): Parts {
  return {
    'SQS results-fhir': (1 + (REQUESTS_A_MESSAGE - 1) / REPORT_BATCH) * PRICES.sqsMillionRequests,
    // The windows of a batch are reported one after another.
    'Lambda report':
      lambdaCost(architecture, memory.report, busyMs('report', memory.report, 1)) -
      PRICES.lambdaMillionRequests * (1 - 1 / REPORT_BATCH),
    // The window's digest, and the session's head row.
    'DynamoDB sessions': 2 * PRICES.dynamoMillionWriteUnits,
    'Logs report': logs(LAMBDA_LOG_BYTES / REPORT_BATCH),
  }
}

/** Write units of the item and its index entry (keys and what a list shows, below 1 KB). A conditional put costs the same as a put. */
export const writeUnitsOf = (resultBytes: number): number => Math.ceil((resultBytes + 400) / 1024) + 1

/** Billed time of a window in a function. Below a whole vCPU computation takes longer; waiting does not. */
export function busyMs(name: keyof typeof NETWORK_WAIT_MS, memoryMb: number, computeMs: number): number {
  return computeMs * Math.max(1, VCPU_MB / memoryMb) + NETWORK_WAIT_MS[name]
}

function lambdaCost(architecture: Architecture, memoryMb: number, billedMs: number): number {
  return PRICES.lambdaMillionRequests + billedMs * 1000 * (memoryMb / 1024) * PRICES.lambdaGbSecond[architecture]
}

const logs = (bytes: number) => (bytes / 1000) * PRICES.logsGb

export const sum = (parts: Parts): number => Object.values(parts).reduce((total, part) => total + part, 0)
