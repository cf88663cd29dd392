/**
 * `cardiacnets fhir`: connects a site's EHR, and reports each problem in one line.
 * @module
 */
import { styleText } from 'node:util'
import { Command, InvalidArgumentError, Option } from 'commander'
import { sendMessages } from '../../shared/aws/queues.ts'
import { LOCAL_OUTPUTS, outputOf, readOutputs, sqsFor } from '../../shared/aws/stack-outputs.ts'
import { CodedError } from '../../shared/errors.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import { changesSince } from '../../streams/fhir/changes.ts'
import { checkSite, notificationsUrl } from '../../streams/fhir/check.ts'
import { ehrOfSite, secretOf } from '../../streams/fhir/site.ts'
import { type Payload, subscribe } from '../../streams/fhir/subscription.ts'
import { demoCommand } from './fhir-demo.ts'
import { withdrawCommand } from './fhir-withdraw.ts'
import { EXIT } from './output.ts'
import { ehrConfig, type SiteOption, siteOption } from './site-option.ts'

export function fhirCommand(): Command {
  return new Command('fhir')
    .description("connect the site's EHR (FHIR R4)")
    .addCommand(checkCommand())
    .addCommand(subscribeCommand())
    .addCommand(catchUpCommand())
    .addCommand(withdrawCommand())
    .addCommand(demoCommand())
}

function checkCommand(): Command {
  return new Command('check')
    .description('check the connection to the EHR; prints one line per check')
    .addOption(siteOption())
    .action(async ({ site }: SiteOption) => {
      for await (const { name, isOk, says, isUnreachable } of checkSite(ehrConfig(site))) {
        if (!isOk) process.exitCode = isUnreachable ? EXIT.unreachable : EXIT.badInput
        process.stdout.write(`${isOk ? styleText('green', 'ok    ') : styleText('red', 'failed')}  ${name}: ${says}\n`)
      }
    })
}

interface SubscribeCommandOptions extends SiteOption {
  readonly payload: 'full' | 'empty'
  readonly topic?: string
}

function subscribeCommand(): Command {
  return new Command('subscribe')
    .description('subscribe to new ECGs in the EHR. Run it again after the secret or our address has changed')
    .addOption(siteOption())
    .addOption(
      new Option('--payload <kind>', 'content of a notification: the whole resource, or nothing')
        .choices(['full', 'empty'])
        .default('full'),
    )
    .option('--topic <url>', 'subscribe to this topic instead (R5 backport, id-only)')
    .action(async ({ site, payload, topic }: SubscribeCommandOptions) => {
      const config = ehrConfig(site)
      const { subscription, criteria } = config
      if (subscription === undefined) throw new CodedError('site-config-invalid', { field: 'site.ehr.subscription' })
      const kind: Payload = topic === undefined ? payload : { topic }
      const made = await subscribe(ehrOfSite(config), {
        criteria,
        endpoint: notificationsUrl(subscription),
        secret: await secretOf(subscription),
        payload: kind,
      })
      for (const { criteria, status, error } of made) {
        if (status !== 'active') process.exitCode = EXIT.badInput
        process.stdout.write(`${status.padEnd(9)}  ${criteria}${error === undefined ? '' : `: ${error}`}\n`)
      }
    })
}

interface CatchUpOptions extends SiteOption {
  readonly since?: Date
  readonly outputs: string
  readonly dryRun?: boolean
}

const DAY_MS = 24 * 3_600_000

function catchUpCommand(): Command {
  return new Command('catch-up')
    .description('queue ECGs that changed in the EHR; ECGs already read are skipped')
    .addOption(siteOption())
    .option('--since <time>', 'start time, ISO 8601 (default: 1 day ago)', (text) => {
      const at = new Date(text)
      if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('a time such as 2026-03-04T05:06:07Z')
      return at
    })
    .option('--outputs <file>', 'outputs of the stack (`cdk deploy --outputs-file`)', LOCAL_OUTPUTS)
    .option('--dry-run', 'only count them')
    .action(async ({ site, since = new Date(Date.now() - DAY_MS), outputs, dryRun }: CatchUpOptions) => {
      const config = ehrConfig(site)
      const queueUrl = dryRun ? undefined : outputOf(await readOutputs(outputs), 'FhirInboundQueueUrl')
      const sqs = queueUrl === undefined ? undefined : sqsFor(queueUrl)
      const ehr = ehrOfSite(config)
      for (const criteria of config.criteria) {
        let count = 0
        for await (const { changes } of changesSince(ehr, criteria, since)) {
          count += changes.length
          const messages = changes.map(
            ({ reference }): FhirInboundMessage => ({ schema: 1, tenant: config.tenant, kind: 'resource', reference }),
          )
          if (sqs !== undefined)
            await sendMessages(
              sqs,
              queueUrl!,
              messages.map((each) => JSON.stringify(each)),
            )
        }
        process.stdout.write(`${String(count).padStart(6)}  ${criteria}\n`)
      }
      sqs?.destroy()
    })
}
