/**
 * The CDK app. `cdk synth`, `cdk deploy` and the local stack use it. Needs no network and no credentials.
 * @module
 */
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Architecture } from 'aws-cdk-lib/aws-lambda'
import type { SiteConfig } from '../shared/config/site.ts'
import type { SynthesisRules } from '../shared/config/synthesis-rules.ts'
import { stageAdapterImage } from './build/adapter-image.ts'
import { bundleFunctions, type FunctionName, type Target } from './build/lambda-bundle.ts'
import { type Model, readModel, stageModel } from './build/model-layer.ts'
import { stageImage } from './build/synthesis-image.ts'
import { synthesisRules } from './build/synthesis-rules.ts'
import { checkRules } from './constructs/nag.ts'
import type { SynthesisImage } from './constructs/synthesis.ts'
import { readSite } from './site.ts'
import { CardiacNetsStack } from './stack.ts'
import { STACK_NAME } from './stack-name.ts'

export interface AppOptions {
  /** Folder of the cloud assembly. Absent: the CDK CLI's own folder, or `cdk.out`. */
  readonly outdir?: string
  /** Where the functions will run. Absent: Lambda, on the architecture of the context value `architecture`, else the site's. */
  readonly target?: Target
  /** Folders of built functions, instead of building them. */
  readonly bundles?: Readonly<Record<FunctionName, string>>
  /** A site, instead of the file that the context value `site` names. */
  readonly site?: SiteConfig
  /** A model, instead of the bundle in the folder that the context value `bundle` names, else the active one. */
  readonly model?: Model
  /** Synthesis rules, instead of the bundle's own. */
  readonly synthesis?: SynthesisRules
  /** Image for drawing. Absent: the one that the context value `synthesisImage` names, else an image that is built at deployment. */
  readonly synthesisImage?: string
  /** Whether the template is also validated against CloudFormation's schemas, which takes 8 s. For deployments. */
  readonly validation?: boolean
}

/** Makes the app with its one stack. Call `synth()` on it. */
export function createApp(options: AppOptions = {}): App {
  const app = new App({
    outdir: options.outdir ?? process.env.CDK_OUTDIR ?? 'cdk.out',
    analyticsReporting: false,
    builtinCloudFormationValidation: options.validation ?? false,
    context: {
      '@aws-cdk/aws-iam:minimizePolicies': true,
      // Only rules of this account may send to the queues.
      '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
      // Buckets have no access control lists.
      '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
      // The local stack names its resources by construct path.
      'aws:cdk:enable-path-metadata': true,
      // A function's version depends on its layers and on what changes its behaviour, not on its tags.
      '@aws-cdk/aws-lambda:recognizeLayerVersion': true,
      '@aws-cdk/aws-lambda:recognizeVersionProps': true,
    },
  })
  const context = (name: string): unknown => app.node.tryGetContext(name)
  const site = options.site ?? readSite(context('site') as string | undefined) // as on a command line
  const target =
    options.target ??
    lambdaTarget(context('architecture') ?? process.env.CARDIACNETS_ARCHITECTURE ?? site.deployment.architecture)
  const model = options.model ?? readModel(context('bundle') as string | undefined) // as on a command line
  const image = options.synthesisImage ?? context('synthesisImage')
  new CardiacNetsStack(app, STACK_NAME, {
    stackName: site.deployment.stack,
    build: {
      architecture: target.endsWith('-arm64') ? Architecture.ARM_64 : Architecture.X86_64,
      bundles: options.bundles ?? bundleFunctions(target, join(app.outdir, 'functions')),
    },
    model: { ...model, folder: stageModel(model, app.outdir) },
    site,
    adapterImage: () => stageAdapterImage(app.outdir),
    synthesis: synthesis(options.synthesis ?? synthesisRules(model.bundle), site, () =>
      image === undefined ? { folder: stageImage(model.bundle.directory, app.outdir) } : { uri: String(image) },
    ),
  })
  return app
}

/** Settings for drawing, when the site enables it and the bundle can draw. */
function synthesis(rules: SynthesisRules | undefined, { deployment }: SiteConfig, image: () => SynthesisImage) {
  if (deployment.synthesis === 'off') return undefined
  return rules && { rules, image: image(), maxGpus: deployment.synthesis.maxGpus }
}

/** Target of the Lambdas. The default arm64 is cheaper per millisecond, and onnxruntime's binary is half the size. */
function lambdaTarget(architecture: unknown): Target {
  if (architecture === 'arm64' || architecture === 'x64') return `linux-${architecture}`
  throw new Error(`architecture must be arm64 or x64, not ${String(architecture)}`)
}

if (import.meta.main) checkRules(createApp({ validation: true })).synth()
