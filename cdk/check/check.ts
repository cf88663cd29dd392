/**
 * `npm run stack:check`: deploys a site's template on this machine, sends ECGs through each of its inputs, and reports what failed and
 * which permissions were missing. With `--aws` it uses a deployed stack.
 * @module
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { Command, Option } from 'commander'
import { outputOf, readOutputs } from '../../shared/aws/stack-outputs.ts'
import { activeBundle } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'
import { subscribeLocally, tenantOf } from '../local/ehr.ts'
import { describeViolation, type Grant, type Violation } from '../local/iam/permissions.ts'
import { type LocalStack, startLocalStack } from '../local/stack.ts'
import { readSite } from '../site.ts'
import { makeDrawingBundle } from './drawing-bundle.ts'
import { type Addresses, type Step, smoke, step } from './smoke.ts'

interface Options {
  readonly site: string
  readonly json?: boolean
  readonly aws?: boolean
  readonly outputs: string
  readonly token?: string
  readonly tenant?: string
  readonly mqtt?: string
  readonly device: string
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly ehr?: boolean
  readonly timeout: number
}

interface Report {
  readonly site: string
  readonly passed: boolean
  readonly seconds: number
  readonly steps: readonly Step[]
  /** Only on this machine. */
  readonly violations?: readonly Violation[]
  /** Permissions that active roles did not use. This run needs fewer than a real site. */
  readonly unused?: readonly Grant[]
}

const command = new Command('npm run stack:check --')
  .description('Sends ECGs through a whole stack and reports what failed: on this machine, or in AWS with --aws.')
  .option('--site <name>', 'site: an example (clinic, hospital, wearable-fleet) or a file', 'hospital')
  .option('--json', 'print one JSON document, which also lists unused permissions')
  .option('--aws', 'check a deployed stack')
  .option('--outputs <file>', 'with --aws: outputs of the stack (`cdk deploy --outputs-file`)', '.local/outputs.json')
  .addOption(new Option('--token <token>', 'with --aws: bearer token for the API').env('STACK_CHECK_TOKEN'))
  .option('--tenant <name>', "with --aws: tenant of the token (default: the site's first)")
  .option('--mqtt <url>', 'with --aws: broker of the devices (default: the MQTT steps are skipped)')
  .option('--device <name>', 'with --aws: name of a registered device (thing)', 'stack-check')
  .option('--ca <file>', 'with --aws: CA certificate of the broker (PEM)')
  .option('--cert <file>', 'with --aws: certificate of the device (PEM)')
  .option('--key <file>', 'with --aws: key of the certificate (PEM)')
  .option('--ehr', "with --aws: write a virtual patient to the site's EHR; it is not removed")
  .option('--timeout <seconds>', 'maximum wait for each answer', Number, 60)

/** Deploys a site on this machine, in a temporary folder. */
async function checkHere(options: Pick<Options, 'site' | 'timeout'>, say: (step: Step) => void): Promise<Report> {
  const startedMs = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-check-'))
  const trouble: string[] = []
  let stack: LocalStack | undefined
  const steps: Step[] = []
  const note = (ended: Step) => {
    steps.push(ended)
    say(ended)
  }
  try {
    const drawing = await drawingBundle(folder)
    note(
      await step('deployment', async () => {
        stack = await startLocalStack({
          site: readSite(options.site),
          ehrPort: 0,
          dataDir: folder,
          // No other work runs that it could slow down.
          batchPriority: 0,
          log: (source, line) => {
            if (/"level":"(ERROR|CRITICAL)"/.test(line) || source === 'permissions') trouble.push(`${source}: ${line}`)
          },
        })
        await subscribeLocally(stack.site)
        const { functions, queueUrls } = stack
        return `${options.site}: ${Object.keys(functions).length} functions, ${Object.keys(queueUrls).length} queues${drawing}`
      }),
    )
    if (stack !== undefined) {
      await smoke(addressesOf(stack, options.timeout), note)
      const { violations } = stack.permissions
      note(await step('permissions', async () => judged(violations)))
    }
  } finally {
    await stack?.stop()
    await rm(folder, { recursive: true, force: true })
  }
  const { violations = [], unused = [] } = stack?.permissions ?? {}
  const report = { site: options.site, ...outcome(steps, startedMs), violations, unused }
  if (!report.passed) for (const line of trouble.slice(-20)) console.error(line)
  return report
}

/** Sends ECGs through a deployed stack. A missing permission there shows as a failed step. */
export async function checkDeployed(options: Options, say: (step: Step) => void): Promise<Report> {
  const startedMs = performance.now()
  const outputs = await readOutputs(options.outputs)
  const site = readSite(options.site)
  const pem = (file: string | undefined) => (file === undefined ? undefined : readFile(file))
  const [ca, cert, key] = await Promise.all([pem(options.ca), pem(options.cert), pem(options.key)])
  const { gateway } = site.deployment
  const steps = await smoke(
    {
      apiUrl: outputOf(outputs, 'ApiUrl'),
      token: options.token,
      tenant: options.tenant ?? tenantOf(site),
      broker: options.mqtt === undefined ? undefined : { url: options.mqtt, version: MQTT_VERSION, ca, cert, key },
      device: options.device,
      takesFrames: gateway.adapter !== undefined,
      ehr: options.ehr && site.ehr !== undefined ? ehrOfSite(site.ehr) : undefined,
      timeoutMs: 1000 * options.timeout,
      // A GPU machine must start and load the image before the first job is drawn.
      drawingTimeoutMs: 20 * 60_000,
    },
    say,
  )
  return { site: options.site, ...outcome(steps, startedMs) }
}

/** MQTT 3.1.1: every broker supports it, and the embedded one supports nothing newer. */
const MQTT_VERSION = 4

function addressesOf(stack: LocalStack, timeoutS: number): Addresses {
  return {
    apiUrl: stack.apiUrl,
    tenant: tenantOf(stack.site),
    broker: { url: stack.mqttUrl, version: MQTT_VERSION },
    device: 'stack-check',
    takesFrames: stack.adapterPid !== undefined,
    ehr: stack.site.ehr && ehrOfSite(stack.site.ehr),
    timeoutMs: 1000 * timeoutS,
    drawingTimeoutMs: 5 * 60_000,
  }
}

/** Gives a bundle that only screens drawing networks with random weights, because only the wiring is checked. Returns a remark about it. */
async function drawingBundle(folder: string): Promise<string> {
  const { manifest } = await readBundle(activeBundle(), CARDIACNETS_V1.name)
  if (manifest.synthesis !== undefined) return ''
  process.env.MODEL_DIR = await makeDrawingBundle(join(folder, 'model'))
  return '; the bundle cannot draw, random weights do'
}

/** Lists one violation of each kind, because each ECG has its own key. */
function judged(violations: readonly Violation[]): string {
  const kinds = Map.groupBy(violations, ({ principal, action }) => `${principal} ${action}`)
  const lines = [...kinds.values()].map(([first, ...others]) =>
    [describeViolation(first!), ...(others.length === 0 ? [] : [`and ${others.length} more`])].join(', '),
  )
  if (lines.length > 0) throw new Error(lines.join('; '))
  return 'no call was refused'
}

function outcome(steps: readonly Step[], startedMs: number) {
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10
  return { passed: steps.every((each) => each.outcome !== 'failed'), seconds, steps }
}

const MARKS = { passed: styleText('green', '✓'), failed: styleText('red', '✗'), skipped: styleText('yellow', '–') }

function row({ name, outcome, ms, detail }: Step): string {
  return `${MARKS[outcome]} ${name.padEnd(14)}${`${(ms / 1000).toFixed(1)} s`.padStart(8)}  ${detail}`
}

function summary({ passed, seconds, unused = [], violations }: Report): string {
  const lines = [passed ? styleText('green', `passed in ${seconds} s`) : styleText('red', `failed after ${seconds} s`)]
  if (violations !== undefined) {
    const roles = Map.groupBy(unused, ({ role }) => role)
    lines.push(`allowed, and not needed by this run: ${unused.length} (--json lists them)`)
    for (const [role, grants] of [...roles].sort(([a], [b]) => a.localeCompare(b))) {
      const actions = Map.groupBy(grants, ({ action }) => action)
      const list = [...actions].map(([action, { length }]) => (length === 1 ? action : `${action} ×${length}`))
      lines.push(styleText('dim', `  ${role}: ${list.join(', ')}`))
    }
  }
  return lines.join('\n')
}

if (import.meta.main) {
  const options = command.parse().opts<Options>()
  const say = options.json ? () => {} : (ended: Step) => console.log(row(ended))
  const report = await (options.aws ? checkDeployed(options, say) : checkHere(options, say)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  })
  console.log(options.json ? JSON.stringify(report, null, 2) : summary(report))
  process.exit(report.passed ? 0 : 1)
}
