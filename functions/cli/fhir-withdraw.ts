/**
 * `cardiacnets fhir withdraw`: withdraws reports from the EHR that belong to a tenant without permission to report to it, or cines that were
 * drawn from an earlier version of a corrected ECG.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { Command } from 'commander'
import { clientsFor, LOCAL_OUTPUTS, outputOf, readOutputs } from '../../shared/aws/stack-outputs.ts'
import { reportingTenants } from '../../shared/config/site.ts'
import { parseEcgId } from '../../shared/domain/ecg-id.ts'
import { AuditStore } from '../../shared/store/audit.ts'
import { correctedAfterDrawing, type TenantTrace, tracesBut } from '../../shared/store/tenant-trace.ts'
import {
  type About,
  outdatedCines,
  type Refusal,
  type Standing,
  standing,
  withdraw,
} from '../../streams/fhir/report/withdraw.ts'
import { ehrOfSite } from '../../streams/fhir/site.ts'
import { ehrConfig, type SiteOption, siteOption } from './site-option.ts'

interface WithdrawOptions extends SiteOption {
  readonly outputs: string
  readonly by: string
  readonly outdatedCines?: boolean
  readonly yes?: boolean
}

export function withdrawCommand(): Command {
  return new Command('withdraw')
    .description(
      'list reports written for tenants that may not report to the EHR; --yes marks them as entered in error',
    )
    .addOption(siteOption())
    .option('--outputs <file>', 'outputs of the stack (`cdk deploy --outputs-file`)', LOCAL_OUTPUTS)
    .option('--by <name>', 'operator name for the audit trail', `operator:${userInfo().username}@${hostname()}`)
    .option('--outdated-cines', 'list cines of an earlier version of a corrected ECG instead')
    .option('--yes', 'carry it out')
    .action(async ({ site, outputs: file, by, yes, ...options }: WithdrawOptions) => {
      const config = ehrConfig(site)
      const ehr = ehrOfSite(config)
      const outputs = await readOutputs(file)
      const { dynamo } = clientsFor(outputs)
      const audit = new AuditStore(dynamo, outputOf(outputs, 'AuditTable'), Number(outputOf(outputs, 'AuditDays')))
      const traceId = randomUUID().replaceAll('-', '')
      const table = outputOf(outputs, 'ResultsTable')
      const wrong =
        options.outdatedCines === true
          ? (await correctedAfterDrawing(dynamo, table)).map(({ tenant, versions }) => ({
              tenant,
              find: () => outdatedCines(ehr, versions),
            }))
          : (await tracesBut(dynamo, table, reportingTenants(config))).map((trace) => ({
              tenant: trace.tenant,
              find: () => standing(ehr, aboutsOf(trace)),
            }))
      let count = 0
      const refusals: Refusal[] = []
      for (const { tenant, find } of wrong) {
        const found = await find()
        count += found.length
        for (const each of found) process.stdout.write(`${tenant}  ${describe(each)}\n`)
        if (yes !== true) continue
        for (const those of Map.groupBy(found, ({ about }) => about.id).values()) {
          const ecgIds = those[0]!.about.kind === 'ecg' ? [parseEcgId(those[0]!.about.id)!] : []
          const entry = { tenant, action: 'report.withdraw' as const, subject: by, ecgIds, traceId }
          // Recorded before the action as well as after it: what cannot be recorded is not done.
          await audit.append({ ...entry, at: new Date(), outcome: 'begun' })
          const refused = await withdraw(ehr, those)
          await audit.append({ ...entry, at: new Date(), outcome: refused[0]?.error.code ?? 'done' })
          refusals.push(...refused)
        }
      }
      const done = yes === true ? 'withdrawn' : 'nothing was changed; --yes withdraws them'
      const what = options.outdatedCines === true ? 'cines of an earlier version' : 'tenants that may not report'
      for (const { standing, error } of refusals) {
        for (const each of standing) process.stdout.write(`not withdrawn (${error.code}): ${describe(each)}\n`)
      }
      const left = refusals.flatMap(({ standing }) => standing).length
      const outcome = count === 0 ? 'nothing to withdraw' : left > 0 ? `${left} of them were not ${done}` : done
      process.stdout.write(`${count} resources of ${what}; ${outcome}\n`)
      if (refusals[0] !== undefined) throw refusals[0].error
    })
}

const aboutsOf = ({ ecgIds, summaryIds }: TenantTrace): readonly About[] => [
  ...ecgIds.map((id) => ({ kind: 'ecg' as const, id })),
  ...summaryIds.map((id) => ({ kind: 'session' as const, id })),
]

/** The resource and what it is about, without the patient whose chart it is in. */
const describe = ({ about, resource }: Standing) => `${resource.resourceType}/${resource.id}  ${about.kind} ${about.id}`
