/**
 * Monthly cost of a site: windows, device connections, storage, and fixed costs.
 * @module
 */

import type { SiteConfig } from '../../shared/config/site.ts'
import { SUMMARY_BYTES } from '../../shared/domain/result-summary.ts'
import { isRecord } from '../../shared/is-record.ts'
import { METRICS_NAMESPACE } from '../../shared/observe/metrics.ts'
import { type FixedLine, fixedCost, HOURS_A_MONTH, type Resources } from './fixed.ts'
import { type Architecture, ehrCost, type Parts, type Path, sum, windowCost } from './marginal.ts'
import type { Measured } from './measured.ts'
import { PRICES } from './prices.ts'

export interface Usage {
  readonly devices: number
  /** Hours per day in which each device streams. */
  readonly hoursADay: number
}

export interface Estimate {
  /** Million windows per month. */
  readonly windowsM: number
  /** USD per million windows on the adapter path, and the addition for an EHR. */
  readonly perMillion: Parts
  readonly ehrPerMillion: Parts
  /** USD per month. */
  readonly windows: number
  readonly ehr: number
  readonly gateway: Parts
  /** For the windows of one month, per month of storage; the requests are paid once. */
  readonly storage: Parts
  readonly fixed: readonly FixedLine[]
  readonly unpriced: readonly string[]
  readonly total: number
}

const WINDOWS_AN_HOUR = 360
const HOURS_A_DAY = 24
const MILLION = 1e6

/** Bytes of session, leads and gains beside the samples of a frame or window (streams/mqtt/ecg.proto). */
const NAMES_BYTES = 300

/** Billing units of AWS IoT Core and SQS, bytes. */
const IOT_UNIT = 5 * 1024
const SQS_UNIT = 64 * 1024

/** Longest accepted frame (shared/domain/frame.ts). */
const LONGEST_FRAME_S = 2

/** Settings of the functions on a window's path, from the template. */
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
    ? iotCost(deviceHours, gateway.adapter === undefined ? 'windows' : 'frames', gateway, measured)
    : {}
  const storage = storageCost(windowsM, measured)
  const { lines: fixed, unpriced } = fixedCost(resources)
  const windows = windowsM * sum(perMillion)
  const ehr = windowsM * sum(ehrPerMillion)
  const total = windows + ehr + sum(gatewayParts) + sum(storage) + fixed.reduce((usd, line) => usd + line.usd, 0)
  return { windowsM, perMillion, ehrPerMillion, windows, ehr, gateway: gatewayParts, storage, fixed, unpriced, total }
}

/** Cost of IoT Core, including the results that are returned to each device. */
function iotCost(
  deviceHours: number,
  path: 'frames' | 'windows',
  { results: form, basicIngest }: SiteConfig['deployment']['gateway'],
  { message }: Measured,
): Parts {
  const windows = deviceHours * WINDOWS_AN_HOUR
  const iotUnits = (bytes: number) => Math.ceil(bytes / IOT_UNIT)
  // Losslessly packed samples, as the reference device sends them with `--encoding packed`. In its message a packed window is base64.
  const windowBytes = (message.p50Bytes * 3) / 4 + NAMES_BYTES
  const frameS = packedFrameS(message.p50Bytes)
  const windowUnits = windows * iotUnits(windowBytes)
  const frameUnits = (deviceHours * 3600) / frameS
  // Frames are billed in and out to the adapter, which subscribes. A window goes to a rule, without a subscriber.
  // Basic Ingest is not billed as a message.
  const windowMessages = basicIngest ? 0 : windowUnits
  const arriving = path === 'frames' ? 2 * frameUnits : windowMessages
  const results = 2 * windows * iotUnits(form === 'summary' ? SUMMARY_BYTES : message.resultP50Bytes)
  const messages = tiered((arriving + results) / MILLION)
  const share = arriving / (arriving + results)
  // SQS bills the message in units of 64 KB, sent and received.
  const moreSqs = 2 * (Math.ceil((windowBytes * 4) / 3 / SQS_UNIT) - 1)
  return {
    'IoT connections': ((deviceHours * 60) / MILLION) * PRICES.iotMillionConnectionMinutes,
    [`IoT messages, ${path}`]: messages * share || 0,
    'IoT messages, results': messages * (1 - share) || 0,
    ...(path === 'windows' && {
      // The rule and its action.
      'IoT rules': ((2 * windowUnits) / MILLION) * PRICES.iotMillionRuleSteps,
      'SQS intake, beyond a unit': (windows / MILLION) * moreSqs * PRICES.sqsMillionRequests,
    }),
  }
}

/** Length of a packed frame that fills one unit, to the tenth of a second. */
function packedFrameS(packedWindowBytes: number): number {
  const bytesASecond = (packedWindowBytes * 3) / 4 / 10
  return Math.min(LONGEST_FRAME_S, Math.floor((10 * (IOT_UNIT - NAMES_BYTES)) / bytesASecond) / 10)
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

/** USD per million windows for the compute of both functions, with the same memory for `screen` and `preprocess`. */
export function memorySensitivity(path: Path, memoryMb: readonly number[]) {
  const cost = (architecture: Architecture, mb: number) => {
    const parts = windowCost({ ...path, architecture, memory: { ...path.memory, preprocess: mb, screen: mb } })
    return parts['Lambda preprocess']! + parts['Lambda screen']!
  }
  return memoryMb.map((mb) => ({ memoryMb: mb, arm64: cost('arm64', mb), x64: cost('x64', mb) }))
}
