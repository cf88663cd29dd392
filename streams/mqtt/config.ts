/**
 * The adapter's settings, from the environment or from flags with the same names.
 * @module
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { DeviceLimits } from '../../shared/config/device-limits.ts'
import { DEVICE_RESULTS, type DeviceResults } from '../../shared/domain/result-summary.ts'
import { Name } from '../../shared/messages.ts'
import type { BrokerOptions } from './connection.ts'

const path = z.string().min(1)
const list = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(Name))
const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'is no JSON' })
    return z.NEVER
  }
})
const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

/** Each setting with its help; the flag of `MQTT_URL` is `--mqtt-url`. */
const Settings = z.object({
  MQTT_URL: z.url({ protocol: /^(mqtts?|wss?)$/ }).meta({ help: 'broker, e.g. mqtts://broker.example:8883' }),
  MQTT_VERSION: z.enum(['4', '5']).default('5').meta({ help: '5, or 4 for MQTT 3.1.1' }),
  MQTT_USERNAME: z.string().optional().meta({ help: 'user name' }),
  MQTT_PASSWORD: z.string().optional().meta({ help: 'password (better by environment than by flag)' }),
  MQTT_CA: path
    .optional()
    .meta({ help: "the authority that signed the broker's certificate: a PEM file, or the PEM itself" }),
  MQTT_CERT: path.optional().meta({ help: 'our certificate, likewise (mutual TLS)' }),
  MQTT_KEY: path.optional().meta({ help: 'our key, likewise (mutual TLS)' }),
  MQTT_CLIENT_ID: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,19}$/)
    .default('cardiacnets')
    .meta({ help: "names our session at the broker; up to 19 letters, digits, '-'" }),
  MQTT_TENANTS: list.optional().meta({ help: "tenants whose devices we hear, as 'a,b'; all when left out" }),
  MQTT_WINDOWS: z
    .enum(['on', 'off'])
    .default('on')
    .meta({ help: "off where somebody else reads the windows that devices collect (AWS IoT Core's rule)" }),
  MQTT_CONNECTIONS: integer(1, 64).default(1).meta({ help: 'more than one: a shared subscription over so many' }),
  JOURNAL_PATH: path.meta({ help: 'SQLite file on a disk that survives us; one adapter each' }),
  JOURNAL_LIMIT_MB: integer(1, 1_000_000)
    .default(4096)
    .meta({ help: 'beyond it we leave the broker until SQS has caught up' }),
  DEVICE_LIMITS: json
    .pipe(DeviceLimits)
    .prefault('{}')
    .meta({ help: 'what a device and a tenant may ask, e.g. {"device": {"frames": {"perSecond": 10, "burst": 600}}}' }),
  SESSION_IDLE_S: z.coerce.number().positive().default(120).meta({
    help: 'how long a window under way waits for a silent device; time in which we were away does not count',
  }),
  CORRECTION_HOURS: z.coerce
    .number()
    .nonnegative()
    .max(24 * 30)
    .default(24)
    .meta({
      help: 'for so long late frames still complete a window that was closed short, as a new version of its result',
    }),
  DEVICE_RESULTS: z
    .enum(DEVICE_RESULTS)
    .default('whole')
    .meta({ help: 'summary: devices get results of less than 5 KB, without most of the 82 indices' }),
  INTAKE_QUEUE_URL: z.url().meta({ help: 'SQS queue that windows go to' }),
  INTAKE_DLQ_URL: z.url().meta({ help: 'SQS queue that refused payloads go to, with a reason' }),
  RESULTS_MQTT_QUEUE_URL: z.url().meta({ help: 'SQS queue that results come from' }),
  UPKEEP_QUEUE_URL: z.url().optional().meta({
    help: 'SQS queue that is asked to publish a result again; without it, a result that the broker loses stays lost',
  }),
  RAW_BUCKET: z.string().min(3).meta({ help: 'S3 bucket for windows too large to travel inline' }),
})

export interface AdapterConfig {
  readonly broker: BrokerOptions
  readonly clientId: string
  /** Absent: all tenants. */
  readonly tenants: readonly string[] | undefined
  readonly hearsWindows: boolean
  readonly connections: number
  readonly journalPath: string
  readonly journalLimitBytes: number
  readonly deviceLimits: DeviceLimits
  readonly idleMs: number
  readonly correctionMs: number
  readonly deviceResults: DeviceResults
  readonly intakeQueueUrl: string
  readonly intakeDlqUrl: string
  readonly resultsQueueUrl: string
  readonly upkeepQueueUrl: string | undefined
  readonly rawBucket: string
}

/** Invalid settings, one per line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const flagOf = (name: string) => name.toLowerCase().replaceAll('_', '-')
const names = Object.keys(Settings.shape)

/**
 * Reads the settings; a flag takes precedence over the environment.
 * @returns `undefined` for `--help`
 * @throws ConfigError naming each setting that is missing or invalid, never its value
 */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): AdapterConfig | undefined {
  const flags = readFlags(args)
  if (flags.help === true) return undefined
  const given = names.map((name) => [name, flags[flagOf(name)] ?? (env[name] === '' ? undefined : env[name])])
  const settings = Settings.safeParse(Object.fromEntries(given))
  if (!settings.success) {
    const lines = settings.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new ConfigError(lines.join('\n'))
  }
  const { data } = settings
  return {
    broker: {
      url: data.MQTT_URL,
      version: data.MQTT_VERSION === '5' ? 5 : 4,
      username: data.MQTT_USERNAME,
      password: data.MQTT_PASSWORD,
      ca: readPem('MQTT_CA', data.MQTT_CA),
      cert: readPem('MQTT_CERT', data.MQTT_CERT),
      key: readPem('MQTT_KEY', data.MQTT_KEY),
    },
    clientId: data.MQTT_CLIENT_ID,
    tenants: data.MQTT_TENANTS,
    hearsWindows: data.MQTT_WINDOWS === 'on',
    connections: data.MQTT_CONNECTIONS,
    journalPath: data.JOURNAL_PATH,
    journalLimitBytes: data.JOURNAL_LIMIT_MB * 1024 * 1024,
    deviceLimits: data.DEVICE_LIMITS,
    idleMs: data.SESSION_IDLE_S * 1000,
    correctionMs: data.CORRECTION_HOURS * 3_600_000,
    deviceResults: data.DEVICE_RESULTS,
    intakeQueueUrl: data.INTAKE_QUEUE_URL,
    intakeDlqUrl: data.INTAKE_DLQ_URL,
    resultsQueueUrl: data.RESULTS_MQTT_QUEUE_URL,
    upkeepQueueUrl: data.UPKEEP_QUEUE_URL,
    rawBucket: data.RAW_BUCKET,
  }
}

/** The text of `--help`. */
export function configHelp(): string {
  const lines = Object.entries(Settings.shape).map(([name, setting]) => {
    const byDefault = setting instanceof z.ZodDefault ? ` (${String(setting.parse(undefined))})` : ''
    return `  ${name.padEnd(24)}${String(setting.meta()?.help)}${byDefault}`
  })
  return [
    'Streams ECG frames from an MQTT broker into SQS, and results back. Each setting is an environment variable or a flag:',
    'MQTT_URL=mqtt://127.0.0.1:1883 is --mqtt-url mqtt://127.0.0.1:1883.',
    '',
    ...lines,
  ].join('\n')
}

function readFlags(args: readonly string[]): Record<string, string | boolean | undefined> {
  const flags = Object.fromEntries(names.map((name) => [flagOf(name), { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...args], options: { ...flags, help: { type: 'boolean', short: 'h' } } }).values
  } catch (error) {
    throw new ConfigError(error instanceof Error ? error.message : String(error))
  }
}

/** A secret store passes the PEM text instead of a file. */
function readPem(name: string, fileOrText: string | undefined): Buffer | undefined {
  if (fileOrText === undefined) return undefined
  if (fileOrText.startsWith('-----BEGIN ')) return Buffer.from(fileOrText)
  try {
    return readFileSync(fileOrText)
  } catch {
    throw new ConfigError(`${name}: cannot read the file`)
  }
}
