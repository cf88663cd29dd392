/**
 * `npm start`: runs the whole stack on this machine, with a demo device, until Ctrl-C.
 * @module
 */
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { whenNpmIsGone } from '../../shared/npm-parent.ts'
import { STACK_NAME } from '../stack-name.ts'
import { type Companion, startCompanion } from './companion.ts'
import { buildConsole } from './console-build.ts'
import { claimFolder, openLog } from './data-folder.ts'
import { subscribeLocally } from './ehr.ts'
import { type LocalStack, startLocalStack } from './stack.ts'
import { checkStart, exitCodeOf, parseBroker, wordsOf } from './start-fault.ts'

const DEMO_DEVICE = 'functions/cli/demo-device.ts'
const ROOT = resolve(import.meta.dirname, '../..')

/** A second Ctrl-C within this time is the same one: npm repeats what the terminal has already sent. */
const SAME_SIGNAL_MS = 1_000

interface Options {
  readonly port: number
  readonly mqttPort: number
  readonly broker?: string
  readonly fhirPort: number
  readonly data: string
  readonly demo: boolean
  readonly fresh?: boolean
}

const command = new Command('npm start --')
  .description('Runs the whole stack on this machine: API, broker, queues, functions and a demo device.')
  .option('--port <port>', 'port of the HTTP API and the console', parsePort, 8080)
  .option('--mqtt-port <port>', 'port of the embedded MQTT broker', parsePort, 1883)
  .option('--fhir-port <port>', 'port of the sandbox EHR (FHIR R4)', parsePort, 8090)
  .option('--broker <url>', 'use this MQTT broker instead of the embedded one', parseBroker)
  .option('--data <dir>', 'folder of queues, waveforms, results and the journal', '.local')
  .option('--no-demo', 'do not start the demo device')
  .option('--fresh', 'delete the data of earlier runs first')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse()

// The data folder contains ECGs and access logs, so it is readable by this user only, whatever the shell's umask. Child processes inherit
// it.
process.umask(0o077)

await main(command.opts<Options>()).catch((error: unknown) => {
  console.error(wordsOf(error))
  process.exit(exitCodeOf(error))
})

async function main({ port, mqttPort, fhirPort, broker, data, demo, fresh }: Options): Promise<void> {
  const dataDir = resolve(data)
  const kept = ['queues', 'objects', 'tables', 'journal.db', 'journal.db-shm', 'journal.db-wal', 'audit.jsonl']
  // Before anything in it changes, because another stack may use it.
  claimFolder(dataDir)
  await checkStart(broker)
  if (fresh) await Promise.all(kept.map((name) => rm(join(dataDir, name), { recursive: true, force: true })))
  const logFile = openLog(join(dataDir, 'stack.log'), console.error)
  const auditFile = openLog(join(dataDir, 'audit.jsonl'), console.error, Number.POSITIVE_INFINITY)
  const log = (source: string, line: string) => {
    logFile.write(`${new Date().toISOString()} ${source} ${line}\n`)
    // In AWS they are in the log groups.
    if (line.includes('"message":"audit"')) auditFile.write(`${line}\n`)
    if (isForTheTerminal(line)) console.log(`${source}: ${line}`)
  }

  let stack: LocalStack | undefined
  let demoDevice: Companion | undefined
  const consoleDir = await buildConsole()
  const interrupted = onInterrupt()
  stack = await startLocalStack({
    apiPort: port,
    mqttPort,
    ehrPort: fhirPort,
    ...(consoleDir === undefined ? {} : { consoleDir }),
    ...(broker === undefined ? {} : { broker }),
    dataDir,
    log,
  })
  const outputs = {
    ...stack.outputs,
    // For commands that read the stack's data; AWS needs no address.
    LocalEndpoint: stack.env.AWS_ENDPOINT_URL_SQS,
    LocalDynamoEndpoint: stack.env.AWS_ENDPOINT_URL_DYNAMODB,
  }
  await writeFile(join(dataDir, 'outputs.json'), `${JSON.stringify({ [STACK_NAME]: outputs }, null, 2)}\n`)
  for (const { criteria, status } of await subscribeLocally(stack.site))
    log('ehr', `subscription ${status}: ${criteria}`)
  console.log(addresses(stack, dataDir, consoleDir !== undefined))
  if (demo && existsSync(join(ROOT, DEMO_DEVICE))) {
    demoDevice = startCompanion({
      script: DEMO_DEVICE,
      args: ['--to', stack.mqttUrl],
      env: {},
      onLine: (line) => console.log(line),
    })
  }

  await interrupted
  console.log('stopping…')
  await demoDevice?.stop()
  await stack.stop()
  logFile.end()
  auditFile.end()
  process.exit(0)
}

/**
 * Resolves at the first Ctrl-C (or SIGTERM), or when npm, which started this process, has ended. A later signal ends the process at once.
 */
function onInterrupt(): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined
    const interrupt = () => {
      if (firstAt === undefined) {
        firstAt = performance.now()
        resolve()
      } else if (performance.now() - firstAt > SAME_SIGNAL_MS) process.exit(1)
    }
    process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
    whenNpmIsGone(() => firstAt === undefined && interrupt())
  })
}

/** Functions log JSON, of which only warnings and errors are shown. Other lines come from the stack itself, or from a crash. */
function isForTheTerminal(line: string): boolean {
  return !line.startsWith('{') || /"level":"(WARN|ERROR|CRITICAL)"/.test(line)
}

function addresses(stack: LocalStack, dataDir: string, hasConsole: boolean): string {
  const rows = [
    ...(hasConsole ? [['Console', `${stack.apiUrl}/`, 'open it in a browser; no sign-in here'] as const] : []),
    ['API', stack.apiUrl, 'ECGs at /v1/ecgs'],
    ['MQTT', stack.mqttUrl, 'frames to ecg/v1/local/{device}/frames'],
    ['FHIR', stack.site.ehr!.baseUrl, 'sandbox EHR, empty after each start; try `npm run -s cli -- fhir demo`'],
    ['SQS, SNS, S3', stack.env.AWS_ENDPOINT_URL_SQS!, 'fauxqs'],
    ['DynamoDB', stack.env.AWS_ENDPOINT_URL_DYNAMODB!, 'dynalite'],
    ['Data', dataDir, 'outputs.json, stack.log, and all data; --fresh deletes the data'] as const,
  ] as const
  const width = Math.max(...rows.map(([, address]) => address.length))
  const table = rows.map(([name, address, note]) => `  ${name.padEnd(14)}${address.padEnd(width + 2)}${note}`)
  return [
    '',
    'CardiacNets Edge is running. Investigational, not a medical device.',
    '',
    ...table,
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n')
}

function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  throw new InvalidArgumentError('a port is a number from 0 to 65535')
}
