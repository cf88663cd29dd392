/**
 * `cardiacnets erase`: erases a patient's data and writes a receipt. Without `--yes` it only shows what would be erased.
 * @module
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'
import { Command, InvalidArgumentError } from 'commander'
import * as z from 'zod'
import { clientsFor, LOCAL_OUTPUTS, outputOf, readOutputs } from '../../../shared/aws/stack-outputs.ts'
import { readSiteConfigFile, reportingTenants } from '../../../shared/config/site.ts'
import { type EcgId, parseEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import { Name } from '../../../shared/messages.ts'
import { AssociationStore, type DeviceSpan } from '../../../shared/store/associations.ts'
import { AuditStore } from '../../../shared/store/audit.ts'
import { CmrJobStore } from '../../../shared/store/cmr-jobs.ts'
import { ResultList } from '../../../shared/store/result-list.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { ehrOfSite } from '../../../streams/fhir/site.ts'
import { EXIT } from '../output.ts'
import { siteOption } from '../site-option.ts'
import { type ErasureParts, erase, type Receipt } from './erase.ts'
import { ecgsOfEhr, ecgsOfSpan, spansOfPatient } from './find.ts'

interface EraseCommandOptions {
  readonly patient?: string
  readonly device?: string
  readonly from?: Date
  readonly to?: Date
  readonly ecg: readonly EcgId[]
  readonly again?: string
  readonly tenant: string
  readonly by: string
  readonly site: string
  readonly ehr: boolean
  readonly outputs: string
  readonly receipt?: string
  readonly yes?: boolean
}

const Patient = z.string().regex(/^Patient\/[A-Za-z0-9\-.]{1,64}$/)

const Earlier = z.object({
  schema: z.literal(1),
  kind: z.literal('erasure'),
  tenant: Name,
  spans: z.array(z.object({ device: Name, from: z.iso.datetime(), to: z.iso.datetime().nullable() })),
  ecgIds: z.array(z.string()),
})

export function eraseCommand(): Command {
  return new Command('erase')
    .description('erase a patient: ECGs, results, cines, associations. Without --yes it only lists them')
    .option(
      '--patient <reference>',
      'patient, such as Patient/123; `-` reads it from standard input, which keeps it out of the shell history',
    )
    .option('--device <name>', 'all ECGs of a device between --from and --to')
    .option('--from <time>', 'start time, with --device', parseTime)
    .option('--to <time>', 'end time, with --device', parseTime)
    .option('--ecg <id...>', 'single ECGs', addEcg, [])
    .option('--again <receipt>', 'erase what arrived after an earlier erasure')
    .option('--tenant <name>', 'tenant of the patient', 'local')
    .option(
      '--by <name>',
      'operator name for the audit trail and the receipt',
      `operator:${userInfo().username}@${hostname()}`,
    )
    .addOption(siteOption())
    .option('--no-ehr', "do not ask the EHR for the patient's ECGs")
    .option('--outputs <file>', 'outputs of the stack (`cdk deploy --outputs-file`)', LOCAL_OUTPUTS)
    .option('--receipt <file>', 'receipt file (default: erasures/ID.json beside the outputs)')
    .option('--yes', 'carry it out')
    .action(async (options: EraseCommandOptions) => {
      const outputs = await readOutputs(options.outputs)
      const { dynamo, s3, sqs } = clientsFor(outputs)
      const table = outputOf(outputs, 'ResultsTable')
      const parts: ErasureParts = {
        dynamo,
        table,
        results: new ResultStore(dynamo, table),
        associations: new AssociationStore(dynamo, table),
        jobs: new CmrJobStore(dynamo, table),
        audit: new AuditStore(dynamo, outputOf(outputs, 'AuditTable'), Number(outputOf(outputs, 'AuditDays'))),
        s3,
        bucket: outputOf(outputs, 'RawBucket'),
        sqs,
        synthesisQueueUrl: outputs.SynthesisQueueUrl,
      }
      const { patient, spans, ecgIds, otherTenants } = await find(parts, options)
      const { tenant, by } = options
      for (const ecgId of ecgIds) process.stdout.write(`${ecgId}${await describe(parts, tenant, ecgId)}\n`)
      process.stdout.write(`${ecgIds.length} ECGs, ${spans.length} device associations\n`)
      if (options.yes !== true) {
        process.stdout.write('nothing was deleted; --yes deletes them\n')
        return
      }
      const receipt = await erase(parts, { tenant, patient, spans, ecgIds, otherTenants, by, now: new Date() })
      const file = options.receipt ?? join(dirname(options.outputs), 'erasures', `${receipt.id}.json`)
      await mkdir(dirname(file), { recursive: true })
      await writeFile(file, `${JSON.stringify(receipt, null, 2)}\n`, { mode: 0o600 })
      process.stdout.write(summary(receipt, file))
      if (receipt.left.length > 0) process.exitCode = EXIT.internal
    })
}

async function find(parts: ErasureParts, options: EraseCommandOptions) {
  const { tenant, device, from, to } = options
  const patient = options.patient === undefined ? undefined : await readPatient(options.patient)
  const spans: DeviceSpan[] =
    patient === undefined ? [] : [...(await spansOfPatient(parts.associations, tenant, patient))]
  const ecgIds = new Set<EcgId>(options.ecg)
  if (device !== undefined) {
    if (from === undefined) throw new CodedError('field-invalid', { field: 'from' })
    spans.push({ device, from, to })
  }
  if (options.again !== undefined) {
    const earlier = await readEarlier(options.again, tenant)
    for (const span of earlier.spans) {
      spans.push({
        device: span.device,
        from: new Date(span.from),
        to: span.to === null ? undefined : new Date(span.to),
      })
    }
    for (const ecgId of earlier.ecgIds) ecgIds.add(ecgId)
  }
  if (patient === undefined && spans.length === 0 && ecgIds.size === 0) {
    throw new CodedError('field-invalid', { field: 'patient' })
  }
  const list = new ResultList(parts.dynamo, parts.table)
  for (const span of spans) for (const ecgId of await ecgsOfSpan(list, tenant, span)) ecgIds.add(ecgId)
  const { ehr: config } = options.ehr && patient !== undefined ? readSiteConfigFile(options.site) : { ehr: undefined }
  if (config !== undefined && patient !== undefined && config.tenant === tenant) {
    const at = { ehr: ehrOfSite(config), server: config.id }
    for (const ecgId of await ecgsOfEhr(at, { ...parts, tenant }, patient)) ecgIds.add(ecgId)
  }
  const reporting = patient === undefined || config === undefined ? new Set<string>() : reportingTenants(config)
  const otherTenants = reporting.has(tenant) ? [...reporting].filter((other) => other !== tenant) : []
  return { patient, spans, ecgIds: [...ecgIds], otherTenants }
}

async function readPatient(given: string): Promise<string> {
  const parsed = Patient.safeParse(given === '-' ? (await text(process.stdin)).trim() : given)
  // The error omits the text, because an invalid reference may be a name.
  if (!parsed.success) throw new CodedError('field-invalid', { field: 'patient' })
  return parsed.data
}

async function readEarlier(file: string, tenant: string) {
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: 'again' }, { cause })
  })
  const parsed = Earlier.safeParse(JSON.parse(content))
  if (!parsed.success || parsed.data.tenant !== tenant) throw new CodedError('field-invalid', { field: 'again' })
  const { spans, ecgIds } = parsed.data
  return { spans, ecgIds: ecgIds.flatMap((id) => parseEcgId(id) ?? []) }
}

/** When it was recorded, and by which device. */
async function describe({ results }: ErasureParts, tenant: string, ecgId: EcgId): Promise<string> {
  const judged = await results.judged(tenant, ecgId)
  if (judged === undefined) return ''
  const { origin, result, arrivedAt } = judged
  const device = 'device' in origin ? origin.device : undefined
  return `  ${result.span.startedAt ?? arrivedAt.toISOString()}  ${origin.kind}${device === undefined ? '' : ` ${device}`}`
}

function summary({ removed, left, notCovered }: Receipt, file: string): string {
  const { ecgs, rows, objectVersions, jobs, associations, sessions } = removed
  const verdict =
    left.length === 0
      ? styleText('green', 'nothing is left')
      : styleText('red', `${left.length} ECGs are left: run it again`)
  return [
    `${ecgs} ECGs deleted: ${rows} rows, ${objectVersions} objects, ${jobs} drawings, ${sessions} sessions, ${associations} associations; ${verdict}`,
    'not covered:',
    ...notCovered.map(({ what, goneBy }) => `  ${goneBy?.slice(0, 10) ?? 'never     '}  ${what}`),
    `receipt: ${file}`,
    '',
  ].join('\n')
}

function addEcg(id: string, before: readonly EcgId[]): readonly EcgId[] {
  const ecgId = parseEcgId(id)
  if (ecgId === undefined) throw new InvalidArgumentError('not the id of an ECG')
  return [...before, ecgId]
}

function parseTime(given: string): Date {
  const time = new Date(given)
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('a time such as 2026-01-02T03:04:05Z')
  return time
}
