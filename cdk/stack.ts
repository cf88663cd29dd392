/**
 * The whole stack, put together from its capabilities.
 * @module
 */
import { CfnOutput, Stack, type StackProps, Tags } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { adapterName } from '../shared/deployment-config.ts'
import type { SiteConfig } from '../shared/site-config.ts'
import type { SynthesisRules } from '../shared/synthesis-rules.ts'
import { Api } from './api.ts'
import { Audit } from './audit.ts'
import { EhrInbound } from './ehr-inbound.ts'
import { Intake } from './intake.ts'
import type { FunctionDefaults } from './lambda-function.ts'
import type { Model } from './model-layer.ts'
import { Observability } from './observability.ts'
import { Report } from './report.ts'
import { Results } from './results.ts'
import { Screening } from './screening.ts'
import { Storage } from './storage.ts'
import { Synthesis, type SynthesisImage } from './synthesis.ts'

export interface CardiacNetsProps extends StackProps {
  readonly defaults: FunctionDefaults
  /** With the folder of its layer (`stageModel`). */
  readonly model: Model & { readonly folder: string }
  readonly site: SiteConfig
  /** Absent where the bundle cannot draw, or nobody wants it to. */
  readonly synthesis:
    | { readonly rules: SynthesisRules; readonly image: SynthesisImage; readonly maxGpus: number }
    | undefined
}

export class CardiacNetsStack extends Stack {
  constructor(scope: Construct, id: string, props: CardiacNetsProps) {
    super(scope, id, props)
    const { defaults } = props
    const storage = new Storage(this, 'Storage')
    const results = new Results(this, 'Results', { site: props.site })
    const screening = new Screening(this, 'Screening', { defaults, storage, results, model: props.model })
    const intake = new Intake(this, 'Intake', { defaults, storage, screeningQueue: screening.queue })
    const inbound = new EhrInbound(this, 'EhrInbound', {
      defaults,
      storage,
      intakeQueue: intake.queue,
      site: props.site,
    })
    new Report(this, 'Report', { defaults, storage, results, site: props.site })
    const synthesis =
      props.synthesis &&
      new Synthesis(this, 'Synthesis', { defaults, storage, results, site: props.site, ...props.synthesis })
    const audit = new Audit(this, 'Audit', { keptDays: props.site.deployment.retentionDays.audit })
    const api = new Api(this, 'Api', {
      defaults,
      audit,
      synthesis,
      storage,
      site: props.site,
      intakeQueue: intake.queue,
      inboundQueue: inbound.queue,
      reportQueue: results.fhir.queue,
    })
    new Observability(this, 'Observability', {
      site: props.site,
      adapters: props.site.deployment.gateway.adapter?.shards.map(adapterName) ?? [],
      hasSynthesis: synthesis !== undefined,
    })
    Tags.of(this).add('project', 'cardiacnets-edge')

    // What the adapter, the CLI and an operator need to know.
    const outputs: Readonly<Record<string, string>> = {
      ApiUrl: api.url,
      EventsUrl: api.eventsUrl,
      RawBucket: storage.bucket.bucketName,
      ResultsTable: storage.table.tableName,
      AuditTable: audit.table.tableName,
      AuditDays: String(props.site.deployment.retentionDays.audit),
      ResultsTopicArn: results.topic.topicArn,
      IntakeQueueUrl: intake.queue.queueUrl,
      IntakeDlqUrl: intake.dlq.queueUrl,
      ScreeningQueueUrl: screening.queue.queueUrl,
      ScreeningDlqUrl: screening.dlq.queueUrl,
      ResultsMqttQueueUrl: results.mqtt.queue.queueUrl,
      ResultsMqttDlqUrl: results.mqtt.dlq.queueUrl,
      ResultsFhirQueueUrl: results.fhir.queue.queueUrl,
      ResultsFhirDlqUrl: results.fhir.dlq.queueUrl,
      FhirInboundQueueUrl: inbound.queue.queueUrl,
      FhirInboundDlqUrl: inbound.dlq.queueUrl,
      ...(synthesis === undefined
        ? {}
        : { SynthesisQueueUrl: synthesis.queues.queue.queueUrl, SynthesisDlqUrl: synthesis.queues.dlq.queueUrl }),
    }
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value })
  }
}
