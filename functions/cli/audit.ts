/**
 * `cardiacnets audit`: who accessed an ECG, or what a caller did. Reads entries of people's requests and log lines of functions.
 * @module
 */
import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Command, InvalidArgumentError } from 'commander'
import { clientsFor, LOCAL_OUTPUTS, outputOf, readOutputs } from '../../shared/aws/stack-outputs.ts'
import { type EcgId, parseEcgId } from '../../shared/domain/ecg-id.ts'
import { CodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'
import { AuditStore } from '../../shared/store/audit.ts'

/** Where `npm start` stores the log lines of its functions. */
const LOCAL_LINES = '.local/audit.jsonl'

const DAY_MS = 24 * 3600 * 1000

interface AuditCommandOptions {
  readonly ecg?: EcgId
  readonly subject?: string
  readonly since?: Date
  readonly until?: Date
  readonly tenant: string
  readonly lines?: string
  readonly outputs: string
  readonly json?: boolean
}

/** One line of output, for an action of a caller or of a function. */
interface Shown {
  readonly at: string
  /** `caller:` with the token's subject, or `service:` with the function's name. */
  readonly by: string
  readonly action: string
  readonly outcome: string
  readonly ecgIds: readonly string[]
  readonly jobId?: string | undefined
  readonly device?: string | undefined
  readonly traceId?: string | undefined
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('show the audit trail of an ECG or of a caller')
    .option('--ecg <id>', 'actions on this ECG', (text) => {
      const ecgId = parseEcgId(text)
      if (ecgId === undefined) throw new InvalidArgumentError('no id of an ECG')
      return ecgId
    })
    .option('--subject <sub>', 'actions of this caller (`sub` of its token)')
    .option('--since <time>', 'start time (default: 30 days ago)', parseTime)
    .option('--until <time>', 'end time', parseTime)
    .option('--tenant <name>', 'tenant', parseTenant, 'local')
    .option('--lines <file>', 'read log lines of functions (JSON) from a file, or from standard input with `-`')
    .option('--outputs <file>', 'outputs of the stack (`cdk deploy --outputs-file`)', LOCAL_OUTPUTS)
    .option('--json', 'print one JSON array')
    .action(async (options: AuditCommandOptions) => {
      const shown = await collect(options)
      if (options.json) process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`)
      else for (const each of shown) process.stdout.write(`${describe(each)}\n`)
    })
}

async function collect({ ecg, subject, tenant, ...options }: AuditCommandOptions): Promise<readonly Shown[]> {
  const outputs = await readOutputs(options.outputs)
  const until = options.until ?? new Date()
  const since = options.since ?? new Date(until.getTime() - 30 * DAY_MS)
  const { dynamo } = clientsFor(outputs)
  const store = new AuditStore(dynamo, outputOf(outputs, 'AuditTable'), 0) // nothing is written
  const shown: Shown[] = []
  for await (const { at, subject: by, ...entry } of store.entries({ tenant, since, until, ecgId: ecg, subject })) {
    const { action, outcome, ecgIds, jobId, device, traceId } = entry
    shown.push({
      at: at.toISOString(),
      by: by.startsWith('operator:') ? by : `caller:${by}`,
      action,
      outcome,
      ecgIds,
      jobId,
      device,
      traceId,
    })
  }
  const lines =
    options.lines ?? (options.outputs === LOCAL_OUTPUTS && existsSync(LOCAL_LINES) ? LOCAL_LINES : undefined)
  // A function has no subject.
  if (lines !== undefined && subject === undefined) {
    for await (const line of linesOf(lines)) {
      const of = parseLine(line)
      const isWanted = of !== undefined && of.tenant === tenant && (ecg === undefined || of.shown.ecgIds.includes(ecg))
      if (isWanted && of.shown.at >= since.toISOString() && of.shown.at <= until.toISOString()) shown.push(of.shown)
    }
  }
  return shown.toSorted((a, b) => a.at.localeCompare(b.at))
}

function linesOf(file: string): AsyncIterable<string> {
  const input = file === '-' ? process.stdin : createReadStream(file)
  const lines = createInterface({ input })
  // `readline` does not pass on errors of its input.
  input.once('error', (cause: unknown) =>
    lines.emit('error', new CodedError('file-not-found', { field: 'lines' }, { cause })),
  )
  return lines
}

/** Parses a line of the audit trail; `undefined` for any other line. */
function parseLine(line: string): { readonly tenant: unknown; readonly shown: Shown } | undefined {
  let of: Readonly<Record<string, unknown>>
  try {
    of = JSON.parse(line)
  } catch {
    return undefined
  }
  if (of?.message !== 'audit') return undefined
  const text = (key: string) => (typeof of[key] === 'string' ? of[key] : undefined)
  const ecgId = text('ecgId')
  return {
    tenant: of.tenant,
    shown: {
      at: text('timestamp') ?? '',
      by: `service:${text('service')}`,
      action: text('action') ?? '',
      outcome: text('outcome') ?? '',
      ecgIds: ecgId === undefined ? [] : [ecgId],
      jobId: text('jobId'),
      device: text('device'),
      traceId: text('traceId'),
    },
  }
}

function describe({ at, by, action, outcome, ecgIds, jobId, device, traceId }: Shown): string {
  const [first, ...more] = ecgIds
  const which = [
    first === undefined ? '' : `ecg ${first}${more.length === 0 ? '' : ` and ${more.length} more`}`,
    jobId === undefined ? '' : `job ${jobId}`,
    device === undefined ? '' : `device ${device}`,
    traceId === undefined ? '' : `trace ${traceId}`,
  ]
  return [at, by.padEnd(22), action.padEnd(17), outcome.padEnd(13), ...which.filter(Boolean)].join('  ')
}

/** A `#` would select rows of another day or tenant. */
function parseTenant(text: string): string {
  if (Name.safeParse(text).success) return text
  throw new InvalidArgumentError('no name of a tenant')
}

function parseTime(text: string): Date {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('a time such as 2026-01-02 or 2026-01-02T03:04:05Z')
  return time
}
