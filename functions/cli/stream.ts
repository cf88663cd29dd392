/**
 * `cardiacnets stream`: the reference device. Streams a file's ECG over MQTT and prints the results that arrive.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import type { Recording } from '../../shared/domain/recording.ts'
import type { Result } from '../../shared/domain/result.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { readRecording } from '../../streams/formats/index.ts'
import type { BrokerOptions } from '../../streams/mqtt/connection.ts'
import { type StreamReport, streamRecording, type WindowTiming } from '../../streams/mqtt/device.ts'
import { DeviceLink } from '../../streams/mqtt/device-link.ts'
import { type FileOptions, positive, readOptions, takeFileOptions } from './file-options.ts'
import { describeResult, EXIT } from './output.ts'

interface StreamCommandOptions extends FileOptions {
  readonly to: string
  readonly speed: number
  readonly loop?: boolean
  readonly json?: boolean
  readonly all?: boolean
  readonly tenant: string
  readonly device: string
  readonly session?: string
  readonly frameMs: number
  readonly windows?: boolean
  readonly rule?: string
  readonly encoding: 'protobuf' | 'json' | 'packed'
  readonly mqtt: '3.1.1' | '5'
  readonly username?: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly timeout: number
}

export function streamCommand(): Command {
  const command = new Command('stream')
    .description('stream an ECG file over MQTT, as a device does, and print the results (reference device)')
    .argument('<file>', 'ECG file. Nothing in its header about the person is sent')
  return takeFileOptions(command)
    .requiredOption('--to <url>', 'address of the broker: mqtt://, mqtts://, ws:// or wss://')
    .option('--speed <n>', 'multiple of real time; `Infinity` sends as fast as the broker acknowledges', positive, 1)
    .option('--loop', 'repeat until Ctrl-C')
    .option('--json', 'print one JSON document per line for each result')
    .option('--all', 'show all 82 indices')
    .option('--tenant <name>', 'tenant in the topic', 'local')
    .option('--device <name>', 'device in the topic', `cli-${process.pid}`)
    .option('--session <name>', 'session name (default: a new one)')
    .option('--frame-ms <n>', 'frame length in ms, 200 to 2000', positive, 500)
    .option('--windows', 'send windows of 10 s instead of frames')
    .option('--rule <name>', 'send windows to this AWS IoT Core rule (Basic Ingest); requires --windows')
    .addOption(
      new Option('--encoding <name>', 'payload encoding').choices(['protobuf', 'json', 'packed']).default('protobuf'),
    )
    .addOption(new Option('--mqtt <version>', 'MQTT version').choices(['3.1.1', '5']).default('3.1.1'))
    .option('--username <name>', 'user name; the password is read from MQTT_PASSWORD')
    .option('--ca <file>', 'CA certificate of the broker (PEM)')
    .option('--cert <file>', 'client certificate (PEM), for mutual TLS')
    .option('--key <file>', 'key of the client certificate (PEM)')
    .option('--timeout <seconds>', 'how long to wait for the next result after the last frame', positive, 30)
    .action(async (file: string, options: StreamCommandOptions) => {
      process.exitCode = await stream(file, options)
    })
}

async function stream(file: string, options: StreamCommandOptions): Promise<number> {
  if (options.rule !== undefined && options.windows !== true) {
    throw new CodedError('field-invalid', { field: '--rule without --windows' })
  }
  const recording = await readRecording(file, readOptions(options))
  const link = await DeviceLink.open(await brokerOptions(options)).catch((cause: unknown) => {
    throw new CodedError('unavailable', { field: '--to' }, { cause })
  })
  const stop = new AbortController()
  // The first Ctrl-C ends the session properly; the second one is handled by Node, which exits.
  process.once('SIGINT', () => stop.abort())
  process.once('SIGTERM', () => stop.abort())
  let isRead = true
  process.stdout.once('error', () => {
    // Nobody reads the results any more, as in `| head -1`.
    isRead = false
    stop.abort()
  })
  let isAnyRefused = false
  const onResult = (result: Result, timing: WindowTiming) => {
    if (!isRead) return
    isAnyRefused ||= result.status === 'refused'
    process.stdout.write(`${options.json ? JSON.stringify(result) : describe(result, recording, timing, options)}\n`)
  }
  const report = await streamRecording(recording, {
    ...options,
    link,
    signal: stop.signal,
    resultTimeoutMs: 1000 * options.timeout,
    onResult,
    onProblem: ({ code, field }) =>
      process.stderr.write(`the service refuses a frame: ${sentenceOf({ code, detail: { field } })} [${code}]\n`),
  })
  await link.close()
  return summarise(report) || (isAnyRefused ? EXIT.refused : EXIT.ok)
}

function describe(result: Result, { rateHz }: Recording, timing: WindowTiming, { all }: StreamCommandOptions): string {
  const second = timing.firstSample / rateHz
  const latency = timing.latencyMs === undefined ? '' : `, answered in ${Math.round(timing.latencyMs)} ms`
  return describeResult(result, {
    title: `from second ${second} (${result.ecgId})${latency}`,
    all: all === true,
  })
}

/** Reports problems on stderr. The exit code is 1 when a window has no result or more than one. */
function summarise({ windows, coarsened }: StreamReport): number {
  const missing = windows.filter(({ results }) => results === 0).length
  const doubled = windows.filter(({ results }) => results > 1).length
  if (coarsened.length > 0) process.stderr.write(`gain made coarser to fit int16: ${coarsened.join(', ')}\n`)
  if (missing > 0) process.stderr.write(`no result for ${missing} of ${windows.length} windows within the time limit\n`)
  if (doubled > 0) process.stderr.write(`more than one result for ${doubled} of ${windows.length} windows\n`)
  return missing + doubled > 0 ? EXIT.internal : EXIT.ok
}

async function brokerOptions({ to, mqtt, username, ca, cert, key }: StreamCommandOptions): Promise<BrokerOptions> {
  const pem = async (option: string, path: string | undefined) =>
    path === undefined
      ? undefined
      : readFile(path).catch((cause: unknown) => {
          throw new CodedError('file-not-found', { field: option }, { cause })
        })
  return {
    url: to,
    version: mqtt === '5' ? 5 : 4,
    username,
    password: process.env.MQTT_PASSWORD,
    ca: await pem('--ca', ca),
    cert: await pem('--cert', cert),
    key: await pem('--key', key),
  }
}
