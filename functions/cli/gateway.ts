/**
 * `cardiacnets gateway`: runs the bedside gateway, and queries its status.
 * @module
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { clientsFor, LOCAL_OUTPUTS, outputOf, readOutputs } from '../../shared/aws/stack-outputs.ts'
import { CodedError, ERROR_KINDS, type ErrorCode, type ErrorDetail } from '../../shared/errors.ts'
import { activeBundle, activeSite } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { codeVersion } from '../../shared/version.ts'
import type { BundleShelf } from '../../streams/gateway/bundle-shelf.ts'
import { shelfOf } from '../../streams/gateway/bundles.ts'
import { apiCloud, type Cloud } from '../../streams/gateway/cloud.ts'
import { type GatewayConfig, parseGatewayConfig, readGatewayConfig } from '../../streams/gateway/config.ts'
import { runGateway } from '../../streams/gateway/run.ts'
import type { ScreeningSetup } from '../../streams/gateway/screening.ts'
import { sqsCloud, sqsCloudOfEnvironment } from '../../streams/gateway/sqs-cloud.ts'

interface GatewayOptions {
  readonly config?: string
  readonly data?: string
  readonly watch?: string
  readonly tenant?: string
  readonly mqttPort?: string
  readonly hl7Port?: string
  readonly dicomPort?: string
  readonly statusPort?: string
  readonly outputs: string
  readonly model: string
}

/** Every input on loopback, beside `npm start`: the configuration when there is no file. */
const TRY = {
  mqtt: { port: 1884 },
  hl7: { port: 2575 },
  dicom: { port: 11_112, allow: ['STORESCU', 'ECHOSCU', 'CARDIACNETS'] },
  folder: { watch: '.local/gateway/inbox' },
  virtual: true,
}

export function gatewayCommand(): Command {
  const command = new Command('gateway')
    // `gateway status --status-port N` is an option of the subcommand, not of this command, which has one of the same name.
    .enablePositionalOptions()
    .description(
      'run the gateway of a ward: takes ECGs by HL7 v2, DICOM, MQTT and a folder, and returns results, also without the cloud',
    )
    .option('--config <file>', 'configuration, JSON (docs/gateway.md). Default: all inputs on 127.0.0.1')
    .option('--data <directory>', 'folder of the journal')
    .option('--watch <directory>', 'folder to watch for ECG files')
    .option('--tenant <name>', 'tenant of the ECGs')
    .option('--mqtt-port <n>', 'port of the MQTT broker')
    .option('--hl7-port <n>', 'port of the HL7 v2 (MLLP) server')
    .option('--dicom-port <n>', 'port of the DICOM server')
    .option('--status-port <n>', 'port of status, metrics and health')
    .option('--outputs <file>', 'outputs of the stack to forward to, if the configuration names none', LOCAL_OUTPUTS)
    .option('--model <directory>', 'model bundle', activeBundle())
    .action(async (options: GatewayOptions) => {
      process.exit(await run(options))
    })
  const ask = (
    name: string,
    description: string,
    act: (port: string, options: { patient: string; to: string }) => Promise<unknown>,
  ) =>
    new Command(name)
      .description(description)
      .option('--status-port <n>', 'port of its status server', '9465')
      .action(async (options: { statusPort: string; patient: string; to: string }) => {
        process.stdout.write(`${JSON.stringify(await act(options.statusPort, options), null, 2)}\n`)
      })
  return command
    .addCommand(ask('status', 'show the state of a running gateway', (port) => request(port, 'status')))
    .addCommand(ask('retry', 'send results again that an EHR rejected', (port) => request(port, 'retry', {})))
    .addCommand(
      ask('erase', 'erase all that the gateway holds of a patient', (port, { patient }) =>
        request(port, 'erase', { patient }),
      ).requiredOption('--patient <number>', 'patient number, as in PID-3 or the DICOM Patient ID'),
    )
    .addCommand(
      ask('backup', 'copy both journals while it runs; to restore, put the copies in their place', (port, { to }) =>
        request(port, 'backup', { path: resolve(to) }),
      ).requiredOption('--to <directory>', 'new folder'),
    )
    .addCommand(bundleCommand())
}

/** Updates and rolls back bundles. When the gateway is not running, they are changed on disk and used at its next start. */
function bundleCommand(): Command {
  const bundle = new Command('bundle')
    .enablePositionalOptions()
    .description('install a model bundle, or return to the previous one')
  const act = (
    command: Command,
    ask: (port: string, argument?: string, site?: string) => Promise<unknown>,
    onDisk: (shelf: BundleShelf, argument?: string, site?: string) => Promise<unknown>,
  ) =>
    command
      .option('--config <file>', 'configuration of the gateway')
      .option('--data <directory>', 'folder of the journal')
      .option('--status-port <n>', 'port of its status server')
      .option('--model <directory>', 'bundle that the gateway was started with', activeBundle())
      .action(async (...args: readonly unknown[]) => {
        // Commander passes the arguments, the options and the command.
        const options = args.at(-2) as GatewayOptions & { readonly site?: string }
        const argument = typeof args[0] === 'string' ? resolve(args[0]) : undefined
        const site = options.site === undefined ? undefined : resolve(options.site)
        const config = configOf(options)
        const done = await ask(String(config.status.port), argument, site).catch((error: unknown) => {
          if (!(error instanceof CodedError) || error.code !== 'unavailable') throw error
          return onDisk(shelfOf(config, screeningOf(options)), argument, site)
        })
        process.stdout.write(`${JSON.stringify(done, null, 2)}\n`)
      })
  return bundle
    .addCommand(
      act(
        new Command('list').description('list installed bundles and the one shipped with the program'),
        (port) => request(port, 'bundles'),
        (shelf) => shelf.list(),
      ),
    )
    .addCommand(
      act(
        new Command('install')
          .argument('<directory>', 'bundle with manifest.json and manifest.json.sig')
          .description('verify a signed bundle and activate it')
          .option('--site <file>', 'site calibration made for this bundle'),
        (port, directory, site) => request(port, 'bundles/install', { directory, site }),
        (shelf, directory, site) => shelf.install(directory!, tryBundle, site),
      ),
    )
    .addCommand(
      act(
        new Command('rollback').description('activate the previous bundle'),
        (port) => request(port, 'bundles/rollback', {}),
        (shelf) => shelf.rollBack(tryBundle),
      ),
    )
}

/** Loads the network, as the gateway will. */
async function tryBundle({ bundleDirectory }: ScreeningSetup): Promise<void> {
  // Imported only here: a running gateway has the runtime in its thread, and 30 MB are enough once.
  const { openSession } = await import('../../shared/inference/session.ts')
  const session = await openSession(await readBundle(bundleDirectory, CARDIACNETS_V1.name), 'screen.onnx', {})
  await session.release()
}

async function request(port: string, path: string, body?: object): Promise<unknown> {
  const init = body && { method: 'POST', body: JSON.stringify(body), headers: { 'x-cardiacnets': 'cli' } }
  const answer = await fetch(`http://127.0.0.1:${port}/${path}`, init).catch((cause: unknown) => {
    throw new CodedError('unavailable', { field: '--status-port' }, { cause })
  })
  const document: unknown = await answer.json()
  if (answer.ok) return document
  const { code, ...detail } = document as { code?: ErrorCode } & ErrorDetail // as `refuse` of the status server writes it
  throw code !== undefined && Object.hasOwn(ERROR_KINDS, code)
    ? new CodedError(code, detail)
    : new CodedError('field-invalid', { field: path, status: answer.status })
}

const screeningOf = ({ model }: GatewayOptions): ScreeningSetup => ({
  bundleDirectory: resolve(model),
  siteFile: activeSite(),
  codeVersion: process.env.CODE_VERSION ?? codeVersion(),
})

async function run(options: GatewayOptions): Promise<number> {
  const config = configOf(options)
  return runGateway(config, {
    cloud: await cloudOf(config, options.outputs),
    screening: screeningOf(options),
  })
}

function configOf({ config: file, ...flags }: GatewayOptions): GatewayConfig {
  const base = file === undefined ? parseGatewayConfig(TRY) : readGatewayConfig(file)
  const port = (text: string | undefined) => (text === undefined ? {} : { port: Number(text) })
  const { mqttPort, hl7Port, dicomPort, statusPort, watch, data, tenant } = flags
  return parseGatewayConfig({
    ...base,
    ...(tenant === undefined ? {} : { tenant }),
    ...(data === undefined ? {} : { data: resolve(data) }),
    ...(watch === undefined ? {} : { folder: { watch: resolve(watch) } }),
    ...((base.mqtt ?? mqttPort) && { mqtt: { ...base.mqtt, ...port(mqttPort) } }),
    ...((base.hl7 ?? hl7Port) && { hl7: { ...base.hl7, ...port(hl7Port) } }),
    ...(base.dicom && { dicom: { ...base.dicom, ...port(dicomPort) } }),
    status: { ...base.status, ...port(statusPort) },
  })
}

/** The cloud in the configuration; without one, the local stack if it is running. */
async function cloudOf({ forward }: GatewayConfig, outputsFile: string): Promise<Cloud | undefined> {
  if (forward?.kind === 'api') return apiCloud(forward.url, forward.tokenFile)
  if (forward?.kind === 'sqs') return sqsCloudOfEnvironment(forward.queueUrl, forward.bucket, forward.credentials)
  if (!existsSync(outputsFile)) return undefined
  const outputs = await readOutputs(outputsFile)
  const { s3, sqs } = clientsFor(outputs)
  return sqsCloud(sqs, s3, outputOf(outputs, 'IntakeQueueUrl'), outputOf(outputs, 'RawBucket'))
}
