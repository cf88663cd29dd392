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
    context.addIssue({ code: 'custom', message: 'is not JSON' })
    return z.NEVER
  }
})
const integer = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

/** Each setting with its help; the flag of `MQTT_URL` is `--mqtt-url`. */
const Settings = z.object({
  MQTT_URL: z
    .url({ protocol: /^(mqtts?|wss?)$/ })
    .meta({ help: 'address of the broker, for example mqtts://broker.example:8883' }),
  MQTT_VERSION: z.enum(['4', '5']).default('5').meta({ help: 'MQTT version: 5, or 4 for MQTT 3.1.1' }),
  MQTT_USERNAME: z.string().optional().meta({ help: 'user name' }),
  MQTT_PASSWORD: z
    .string()
    .optional()
    .meta({ help: 'password; set it in the environment, because other users can see flags' }),
  MQTT_CA: path.optional().meta({ help: 'CA certificate of the broker: a PEM file, or the PEM itself' }),
  MQTT_CERT: path.optional().meta({ help: 'client certificate (mutual TLS): a PEM file, or the PEM itself' }),
  MQTT_KEY: path.optional().meta({ help: 'key of the client certificate: a PEM file, or the PEM itself' }),
  MQTT_CLIENT_ID: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,19}$/)
    .default('cardiacnets')
    .meta({ help: "client id, which names the session at the broker: up to 19 letters, digits and '-'" }),
  MQTT_TENANTS: list.optional().meta({ help: "tenants whose devices are read, as 'a,b'; default: all" }),
  MQTT_WINDOWS: z
    .enum(['on', 'off'])
    .default('on')
    .meta({ help: 'off leaves the topic …/window to another consumer, such as a rule of AWS IoT Core' }),
  MQTT_CONNECTIONS: integer(1, 64)
    .default(1)
    .meta({ help: 'connections to the broker; more than one form a shared subscription' }),
  JOURNAL_PATH: path.meta({
    help: 'SQLite file of the journal, on a disk that outlives the process; one adapter per file',
  }),
  JOURNAL_LIMIT_MB: integer(1, 1_000_000)
    .default(4096)
    .meta({ help: 'at this size the adapter disconnects from the broker until SQS has caught up' }),
  DEVICE_LIMITS: json.pipe(DeviceLimits).prefault('{}').meta({
    help: 'limits of a device and of a tenant, for example {"device": {"frames": {"perSecond": 10, "burst": 600}}}',
  }),
  SESSION_IDLE_S: z.coerce.number().positive().default(120).meta({
    help: 'how long an incomplete window waits for a silent device, without the time in which the adapter was disconnected',
  }),
  CORRECTION_HOURS: z.coerce
    .number()
    .nonnegative()
    .max(24 * 30)
    .default(24)
    .meta({
      help: 'how long late frames still complete a window that was closed short; its result then gets a new version',
    }),
  DEVICE_RESULTS: z
    .enum(DEVICE_RESULTS)
    .default('whole')
    .meta({ help: 'whole, or summary: results below 5 KB, without most of the 82 indices' }),
  INTAKE_QUEUE_URL: z.url().meta({ help: 'SQS queue for windows' }),
  INTAKE_DLQ_URL: z.url().meta({ help: 'SQS queue for refused payloads, with a reason' }),
  RESULTS_MQTT_QUEUE_URL: z.url().meta({ help: 'SQS queue with results for devices' }),
  UPKEEP_QUEUE_URL: z.url().optional().meta({
    help: 'SQS queue for requests to publish a result again; without it, a result that the broker lost is not published again',
  }),
  RAW_BUCKET: z.string().min(3).meta({ help: 'S3 bucket for windows that are too large for a message' }),
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
    const byDefault = setting instanceof z.ZodDefault ? ` (default: ${String(setting.parse(undefined))})` : ''
    const required = setting.safeParse(undefined).success ? '' : ' (required)'
    return `  ${name.padEnd(24)}${String(setting.meta()?.help)}${byDefault}${required}`
  })
  return [
    'The adapter: sends windows of ECG frames from an MQTT broker to SQS, and results back to the devices.',
    'Each setting is an environment variable or a flag: MQTT_URL=mqtt://127.0.0.1:1883 is --mqtt-url mqtt://127.0.0.1:1883.',
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
