/**
 * The whole stack, assembled from its capabilities.
 * @module
 */
import { CfnOutput, Stack, type StackProps, Tags } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import { adapterName, type Deployment } from '../shared/config/deployment.ts'
import type { SiteConfig } from '../shared/config/site.ts'
import type { SynthesisRules } from '../shared/config/synthesis-rules.ts'
import type { Model } from './build/model-layer.ts'
import { Adapters } from './constructs/adapter.ts'
import { Api } from './constructs/api.ts'
import { Audit } from './constructs/audit.ts'
import { Console } from './constructs/console.ts'
import { DeviceGateway } from './constructs/device-gateway.ts'
import { EhrInbound } from './constructs/ehr-inbound.ts'
import { Identity } from './constructs/identity.ts'
import { Intake } from './constructs/intake.ts'
import { Keys } from './constructs/keys.ts'
import type { FunctionBuild, FunctionDefaults } from './constructs/lambda-function.ts'
import { acknowledge } from './constructs/nag.ts'
import { Network } from './constructs/network.ts'
import { Observability } from './constructs/observability.ts'
import { Report } from './constructs/report.ts'
import { Results } from './constructs/results.ts'
import { Screening } from './constructs/screening.ts'
import { Storage } from './constructs/storage.ts'
import { Synthesis, type SynthesisImage } from './constructs/synthesis.ts'
import { Upkeep } from './constructs/upkeep.ts'

export interface CardiacNetsProps extends StackProps {
  readonly build: FunctionBuild
  /** The model, with the folder of its layer (`stageModel`). */
  readonly model: Model & { readonly folder: string }
  readonly site: SiteConfig
  /** Writes the build context of the adapter's image. */
  readonly adapterImage: () => string
  /** Absent where the bundle cannot draw or the site disables drawing. */
  readonly synthesis:
    | { readonly rules: SynthesisRules; readonly image: SynthesisImage; readonly maxGpus: number }
    | undefined
}

export class CardiacNetsStack extends Stack {
  constructor(scope: Construct, id: string, props: CardiacNetsProps) {
    super(scope, id, props)
    const { site, build } = props
    const { deployment } = site
    const keys = new Keys(this, 'Keys')
    const log = { key: keys.logs, days: deployment.retentionDays.logs }
    // Audit lines are in the functions' own logs (`shared/observe/audit.ts`).
    const trail = { key: keys.logs, days: deployment.retentionDays.audit, isKept: true }
    const defaults: FunctionDefaults = { ...build, log, trail }
    const queues = { key: keys.data }
    const network = new Network(this, 'Network', {
      zones: deployment.zones,
      log,
      isPublicToo: deployment.gateway.adapter !== undefined,
    })
    const storage = new Storage(this, 'Storage', {
      key: keys.data,
      retentionDays: deployment.retentionDays,
      hasFrontDoor: deployment.console !== undefined,
    })
    const results = new Results(this, 'Results', { site, key: keys.data })
    const onTheWay = { defaults, queues, network, storage, concurrency: windowConcurrency(deployment.devices) }
    const screening = new Screening(this, 'Screening', { ...onTheWay, results, model: props.model })
    const intake = new Intake(this, 'Intake', { ...onTheWay, screeningQueue: screening.queue })
    if (deployment.gateway.iotCore) {
      new DeviceGateway(this, 'DeviceGateway', { defaults, deployment, intake, results: results.mqtt })
    }
    const inbound = new EhrInbound(this, 'EhrInbound', { defaults, queues, storage, intakeQueue: intake.queue, site })
    new Report(this, 'Report', { defaults, storage, results, site })
    const synthesis =
      props.synthesis &&
      new Synthesis(this, 'Synthesis', { defaults, queues, network, storage, results, site, ...props.synthesis })
    const upkeep = new Upkeep(this, 'Upkeep', {
      defaults,
      queues,
      network,
      storage,
      synthesis,
      model: screening.model,
      reportQueue: results.fhir.queue,
      deviceQueue: results.mqtt.queue,
    })
    const audit = new Audit(this, 'Audit', { key: keys.data, keptDays: deployment.retentionDays.audit })
    const { identity, signIn, signInAt } = this.#whoSignsIn(deployment, defaults, network)
    const api = new Api(this, 'Api', {
      identity,
      signIn,
      defaults,
      audit,
      synthesis,
      storage,
      site,
      intakeQueue: intake.queue,
      inboundQueue: inbound.queue,
      upkeepQueue: upkeep.queue,
      bundle: props.model.bundle,
      queues: {
        intake,
        screening,
        'results-mqtt': results.mqtt,
        'results-fhir': results.fhir,
        'fhir-inbound': inbound,
        ...(synthesis === undefined ? {} : { synthesis: synthesis.queues }),
        upkeep,
      },
    })
    const { adapter, iotCore, results: deviceResults } = deployment.gateway
    if (adapter !== undefined) {
      const { architecture } = build
      const image = props.adapterImage()
      const shared = { network, key: keys.data, log, storage, intake, results: results.mqtt, upkeepQueue: upkeep.queue }
      new Adapters(this, 'Adapters', { adapter, image, architecture, hearsWindows: !iotCore, deviceResults, ...shared })
    }
    const console =
      deployment.console &&
      new Console(this, 'Console', {
        console: deployment.console,
        storage,
        log,
        apiUrl: api.url,
        eventsUrl: api.eventsUrl,
        front: api.front,
        signInAt,
      })
    new Observability(this, 'Observability', {
      key: keys.data,
      site,
      adapters: deployment.gateway.adapter?.shards.map(adapterName) ?? [],
      hasSynthesis: synthesis !== undefined,
    })
    acknowledge(this, {
      'HIPAA.Security-IAMNoInlinePolicy':
        'A policy is of one role, made and reviewed with it (test/cdk/rights.txt); a managed one invites others to use it',
    })
    Tags.of(this).add('project', 'cardiacnets-edge')

    // Outputs for the adapter, the CLI and operators.
    const outputs: Readonly<Record<string, string>> = {
      // Behind CloudFront, neither answers at its own address.
      ApiUrl: console?.url ?? api.url,
      EventsUrl: console === undefined ? api.eventsUrl : `${console.url}/`,
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
      UpkeepQueueUrl: upkeep.queue.queueUrl,
      UpkeepDlqUrl: upkeep.dlq.queueUrl,
      ...(console === undefined ? {} : { ConsoleUrl: console.url, ConsoleBucket: console.bucket.bucketName }),
      ...(synthesis === undefined
        ? {}
        : { SynthesisQueueUrl: synthesis.queues.queue.queueUrl, SynthesisDlqUrl: synthesis.queues.dlq.queueUrl }),
    }
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value })
  }

  /** The site's identity provider or the stack's user pool, the console's client there, and the origins that the page calls. */
  #whoSignsIn({ api, console, tenants }: Deployment, defaults: FunctionDefaults, network: Network) {
    const { identity: stated } = api
    const { clientId, scope, idleMinutes = IDLE_MINUTES, origins = [] } = console?.signIn ?? {}
    if (stated?.kind !== 'cognito') {
      const hasSignIn = clientId !== undefined && scope !== undefined && stated !== undefined
      return {
        identity: stated,
        signIn: hasSignIn ? { clientId, scope, idleMinutes } : undefined,
        signInAt: hasSignIn ? originsOf([stated.issuer, ...origins]) : [],
      }
    }
    // The schema requires a domain when there is a user pool.
    const consoleUrl = `https://${console!.domain!.name}/`
    const pool = new Identity(this, 'Identity', { defaults, network, provider: stated, tenants, consoleUrl })
    return {
      identity: pool.provider,
      signIn: { clientId: pool.clientId, scope: POOL_SCOPE, idleMinutes },
      signInAt: pool.origins,
    }
  }
}

/** Scope that the console requests from the stack's own pool; the trigger adds the scopes of the user's groups. */
const POOL_SCOPE = 'openid email'

const IDLE_MINUTES = 15

/** Without duplicates, because providers have several endpoints at one origin. */
const originsOf = (urls: readonly string[]) => [...new Set(urls.map((url) => new URL(url).origin))]

/**
 * Concurrency of functions that handle each window: a window every ten seconds per device, at most 0.1 s each, and twice that for bursts.
 * SQS invokes at most 1,000 at a time; an account has 1,000 for all functions until it requests more.
 */
function windowConcurrency(devices: number): number {
  return Math.min(Math.max(50, Math.ceil((devices / 10) * 0.1 * 2)), 1000)
}
