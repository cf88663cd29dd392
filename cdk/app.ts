/**
 * The CDK app: what `cdk synth`, `cdk deploy` and the local stack start from. Needs no network and no credentials.
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
  /** Where the cloud assembly goes; the CDK CLI's own folder, or `cdk.out`, when absent. */
  readonly outdir?: string
  /** Where the functions will run; when absent, Lambda on the architecture of the context value `architecture`, else of the site. */
  readonly target?: Target
  /** Folders to use instead of building the functions. */
  readonly bundles?: Readonly<Record<FunctionName, string>>
  /** Instead of the file that the context value `site` names. */
  readonly site?: SiteConfig
  /** Instead of the bundle in the folder that the context value `bundle` names, else the active one. */
  readonly model?: Model
  /** Instead of what the bundle can draw. */
  readonly synthesis?: SynthesisRules
  /** The image that draws; else the one that the context value `synthesisImage` names, else one that is built at deployment. */
  readonly synthesisImage?: string
  /** Whether the template is also checked against CloudFormation's schemas, which takes 8 s: for what is deployed. */
  readonly validation?: boolean
}

/** The app with its one stack; call `synth()` on it. */
export function createApp(options: AppOptions = {}): App {
  const app = new App({
    outdir: options.outdir ?? process.env.CDK_OUTDIR ?? 'cdk.out',
    analyticsReporting: false,
    builtinCloudFormationValidation: options.validation ?? false,
    context: {
      '@aws-cdk/aws-iam:minimizePolicies': true,
      // Only rules of this account may send to the queues.
      '@aws-cdk/aws-events:eventsTargetQueueSameAccount': true,
      // Buckets know no access control lists.
      '@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy': true,
      // The local stack names what it makes by construct path.
      'aws:cdk:enable-path-metadata': true,
      // A function's version is of its layers and of what makes it another, not of its tags.
      '@aws-cdk/aws-lambda:recognizeLayerVersion': true,
      '@aws-cdk/aws-lambda:recognizeVersionProps': true,
    },
  })
  const context = (name: string): unknown => app.node.tryGetContext(name)
  const site = options.site ?? readSite(context('site') as string | undefined) // as a command line has it
  const target =
    options.target ??
    lambdaTarget(context('architecture') ?? process.env.CARDIACNETS_ARCHITECTURE ?? site.deployment.architecture)
  const model = options.model ?? readModel(context('bundle') as string | undefined) // as a command line has it
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

/** Machines to draw with, where the site wants them and the bundle can draw. */
function synthesis(rules: SynthesisRules | undefined, { deployment }: SiteConfig, image: () => SynthesisImage) {
  if (deployment.synthesis === 'off') return undefined
  return rules && { rules, image: image(), maxGpus: deployment.synthesis.maxGpus }
}

/** arm64 unless the site or `-c architecture=` says otherwise: cheaper a millisecond, and onnxruntime's binary is half the size. */
function lambdaTarget(architecture: unknown): Target {
  if (architecture === 'arm64' || architecture === 'x64') return `linux-${architecture}`
  throw new Error(`architecture must be arm64 or x64, not ${String(architecture)}`)
}

if (import.meta.main) checkRules(createApp({ validation: true })).synth()
