/**
 * What a site costs a month: what each window costs, how devices reach us, what is kept, and what is there all day.
 * @module
 */

import type { SiteConfig } from '../../shared/config/site.ts'
import { isRecord } from '../../shared/is-record.ts'
import { METRICS_NAMESPACE } from '../../shared/observe/metrics.ts'
import { type FixedLine, fixedCost, HOURS_A_MONTH, type Resources } from './fixed.ts'
import { type Architecture, ehrCost, type Parts, type Path, sum, windowCost } from './marginal.ts'
import type { Measured } from './measured.ts'
import { PRICES } from './prices.ts'

export interface Usage {
  readonly devices: number
  /** How long each streams. */
  readonly hoursADay: number
}

export interface Estimate {
  /** Million a month. */
  readonly windowsM: number
  /** USD a million windows on the adapter path, and what an EHR adds. */
  readonly perMillion: Parts
  readonly ehrPerMillion: Parts
  /** USD a month. */
  readonly windows: number
  readonly ehr: number
  readonly gateway: Parts
  /** Of one month's windows, for each month that they are kept; the requests once. */
  readonly storage: Parts
  readonly fixed: readonly FixedLine[]
  readonly unpriced: readonly string[]
  readonly total: number
}

const WINDOWS_AN_HOUR = 360
const HOURS_A_DAY = 24
const MILLION = 1e6

/** Of a window and of a frame as they are published: 12 leads × 500 Hz × int16, and some names (streams/mqtt/ecg.proto). */
const LEAD_BYTES_A_SECOND = 12 * 500 * 2
const NAMES_BYTES = 300
const WINDOW_BYTES = 10 * LEAD_BYTES_A_SECOND + NAMES_BYTES

/** What AWS IoT Core and SQS count as one. */
const IOT_UNIT = 5 * 1024
const SQS_UNIT = 64 * 1024

/** What the template says of the functions that windows pass through. */
export function pathOf(resources: Resources, { screen, message, logBytes }: Measured): Path {
  const functions = Object.values(resources).flatMap(({ Type, Properties }) =>
    Type === 'AWS::Lambda::Function' && Properties ? [Properties] : [],
  )
  const named = (name: string) => {
    const found = functions.find(({ Environment }) => serviceOf(Environment) === name)
    if (found === undefined) throw new Error(`the template has no function ${name} of ${METRICS_NAMESPACE}`)
    return found
  }
  const memory = (name: string) => Number(named(name).MemorySize)
  const [architecture] = named('screen').Architectures as readonly string[] // as CDK writes it
  return {
    prepareMs: screen.prepareMs,
    inferenceMs: screen.inferenceMs,
    resultBytes: message.resultStoredP50Bytes,
    logBytes,
    architecture: architecture === 'arm64' ? 'arm64' : 'x64',
    memory: { preprocess: memory('preprocess'), screen: memory('screen'), report: memory('report') },
  }
}

const serviceOf = (environment: unknown): unknown =>
  isRecord(environment) && isRecord(environment.Variables) ? environment.Variables.POWERTOOLS_SERVICE_NAME : undefined

export function estimate(site: SiteConfig, resources: Resources, usage: Usage, measured: Measured): Estimate {
  const { gateway } = site.deployment
  const path = pathOf(resources, measured)
  const perMillion = windowCost(path)
  const ehrPerMillion = site.ehr === undefined ? {} : ehrCost(path)
  const isLive = gateway.iotCore || gateway.adapter !== undefined
  const deviceHours = isLive ? (usage.devices * usage.hoursADay * HOURS_A_MONTH) / HOURS_A_DAY : 0
  const windowsM = (deviceHours * WINDOWS_AN_HOUR) / MILLION
  const gatewayParts = gateway.iotCore
    ? iotCost(deviceHours, gateway.adapter === undefined ? 'windows' : 'frames', measured)
    : {}
  const storage = storageCost(windowsM, measured)
  const { lines: fixed, unpriced } = fixedCost(resources)
  const windows = windowsM * sum(perMillion)
  const ehr = windowsM * sum(ehrPerMillion)
  const total = windows + ehr + sum(gatewayParts) + sum(storage) + fixed.reduce((usd, line) => usd + line.usd, 0)
  return { windowsM, perMillion, ehrPerMillion, windows, ehr, gateway: gatewayParts, storage, fixed, unpriced, total }
}

/** A result goes back to each device as well. */
function iotCost(deviceHours: number, path: 'frames' | 'windows', { adapter, message }: Measured): Parts {
  const windows = deviceHours * WINDOWS_AN_HOUR
  const frames = deviceHours * 3600 * adapter.framesPerSecond
  const iotUnits = (bytes: number) => Math.ceil(bytes / IOT_UNIT)
  const windowUnits = windows * iotUnits(WINDOW_BYTES)
  const frameUnits = frames * iotUnits(LEAD_BYTES_A_SECOND / adapter.framesPerSecond + NAMES_BYTES)
  // In and out: to the adapter, which subscribes; a rule takes a window without.
  const arriving = path === 'frames' ? 2 * frameUnits : windowUnits
  const results = 2 * windows * iotUnits(message.resultP50Bytes)
  const messages = tiered((arriving + results) / MILLION)
  const share = arriving / (arriving + results)
  // SQS bills the message in 64 KB, sent and received.
  const moreSqs = 2 * (Math.ceil((WINDOW_BYTES * 4) / 3 / SQS_UNIT) - 1)
  return {
    'IoT connections': ((deviceHours * 60) / MILLION) * PRICES.iotMillionConnectionMinutes,
    [`IoT messages, ${path}`]: messages * share || 0,
    'IoT messages, results': messages * (1 - share) || 0,
    ...(path === 'windows' && {
      // The rule and its action.
      'IoT rules': ((2 * windowUnits) / MILLION) * PRICES.iotMillionRuleSteps,
      'SQS intake, windows not packed': (windows / MILLION) * moreSqs * PRICES.sqsMillionRequests,
    }),
  }
}

function tiered(millions: number): number {
  let left = millions
  let usd = 0
  for (const [step, price] of PRICES.iotMillionMessages) {
    usd += Math.min(left, step) * price
    left = Math.max(0, left - step)
  }
  return usd
}

function storageCost(windowsM: number, { message }: Measured): Parts {
  // A packed window is base64 in its message.
  const rawGb = (windowsM * MILLION * message.p50Bytes * 3) / 4 / 1e9
  const resultGb = (windowsM * MILLION * (message.resultStoredP50Bytes + 2 * 400)) / 1e9
  return {
    'S3 requests': windowsM * PRICES.s3MillionPuts,
    'S3, raw windows': rawGb * PRICES.s3GbMonth,
    'DynamoDB, results and their backup': resultGb * (PRICES.dynamoGbMonth + PRICES.dynamoBackupGbMonth),
  }
}

/** USD a million windows of both functions' compute, by memory of `screen` and of `preprocess` alike. */
export function memorySensitivity(path: Path, memoryMb: readonly number[]) {
  const cost = (architecture: Architecture, mb: number) => {
    const parts = windowCost({ ...path, architecture, memory: { ...path.memory, preprocess: mb, screen: mb } })
    return parts['Lambda preprocess']! + parts['Lambda screen']!
  }
  return memoryMb.map((mb) => ({ memoryMb: mb, arm64: cost('arm64', mb), x64: cost('x64', mb) }))
}
