/**
 * The CDK app: what `cdk synth`, `cdk deploy` and the local stack start from. Needs no network and no credentials.
 * @module
 */
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Architecture } from 'aws-cdk-lib/aws-lambda'
import { activeBundle } from '../shared/inference/active-bundle.ts'
import { parseSiteConfig, readSiteConfigFile, type SiteConfig } from '../shared/site-config.ts'
import type { SynthesisRules } from '../shared/synthesis-rules.ts'
import { codeVersion } from '../shared/version.ts'
import type { IdentityProvider } from './api.ts'
import { bundleFunctions, type FunctionName, type Target } from './lambda-bundle.ts'
import { CardiacNetsStack } from './stack.ts'
import { STACK_NAME } from './stack-name.ts'
import type { SynthesisImage } from './synthesis.ts'
import { stageImage } from './synthesis-image.ts'
import { readSynthesisRules } from './synthesis-rules.ts'

export interface AppOptions {
  /** Where the cloud assembly goes; the CDK CLI's own folder, or `cdk.out`, when absent. */
  readonly outdir?: string
  /** Where the functions will run; Lambda on the architecture of the context value `architecture` (arm64) when absent. */
  readonly target?: Target
  /** Folders to use instead of building the functions. */
  readonly bundles?: Readonly<Record<FunctionName, string>>
  /** Instead of the file that the context value `site` names. */
  readonly site?: SiteConfig
  /** Instead of what the active bundle can draw. */
  readonly synthesis?: SynthesisRules | 'off'
  /** The image that draws; else the one that the context value `synthesisImage` names, else one that is built at deployment. */
  readonly synthesisImage?: string
}

/** The app with its one stack; call `synth()` on it. */
export function createApp(options: AppOptions = {}): App {
  const app = new App({
    outdir: options.outdir ?? process.env.CDK_OUTDIR ?? 'cdk.out',
    analyticsReporting: false,
    context: {
      '@aws-cdk/aws-iam:minimizePolicies': true,
      // The local stack names what it makes by construct path.
      'aws:cdk:enable-path-metadata': true,
    },
  })
  const context = (name: string): unknown => app.node.tryGetContext(name)
  const target = options.target ?? lambdaTarget(context('architecture') ?? process.env.CARDIACNETS_ARCHITECTURE)
  const image = options.synthesisImage ?? context('synthesisImage')
  new CardiacNetsStack(app, STACK_NAME, {
    defaults: {
      architecture: target.endsWith('-arm64') ? Architecture.ARM_64 : Architecture.X86_64,
      bundles: options.bundles ?? bundleFunctions(target, join(app.outdir, 'functions')),
      codeVersion: codeVersion(),
    },
    site: options.site ?? siteConfig(context('site')),
    identityProvider: identityProvider(context),
    synthesis: synthesis(options.synthesis ?? context('synthesis'), () =>
      image === undefined ? { folder: stageImage(app.outdir) } : { uri: String(image) },
    ),
  })
  return app
}

/** Machines to draw with, where the bundle can draw; the context value `synthesis=off` leaves them out, with what they cost while idle. */
function synthesis(wanted: unknown, image: () => SynthesisImage) {
  if (wanted === 'off') return undefined
  if (typeof wanted === 'string') throw new Error(`synthesis must be off, or left out, not ${wanted}`)
  const rules = (wanted as SynthesisRules | undefined) ?? readSynthesisRules(activeBundle()) // by its type in AppOptions
  return rules && { rules, image: image() }
}

/** A mistyped one fails here, not with the first result. */
function siteConfig(file: unknown) {
  return file === undefined ? parseSiteConfig('{}') : readSiteConfigFile(String(file))
}

/** arm64 unless told otherwise: cheaper a millisecond, and onnxruntime's binary is half the size. */
function lambdaTarget(architecture: unknown = 'arm64'): Target {
  if (architecture === 'arm64' || architecture === 'x64') return `linux-${architecture}`
  throw new Error(`architecture must be arm64 or x64, not ${String(architecture)}`)
}

/**
 * From the context values `authIssuer`, `authAudience`, `authJwksUrl` (and `authTenantClaim`); none of them is no provider.
 * @throws Error for some but not all of them, and for addresses that are not https
 */
function identityProvider(context: (name: string) => unknown): IdentityProvider | undefined {
  const names = ['authIssuer', 'authAudience', 'authJwksUrl'] as const
  const [issuer, audience, jwksUrl] = names.map((name) => context(name))
  if (issuer === undefined && audience === undefined && jwksUrl === undefined) return undefined
  if (typeof issuer !== 'string' || typeof audience !== 'string' || typeof jwksUrl !== 'string') {
    throw new Error(`set all of ${names.join(', ')}, or none`)
  }
  if (!URL.canParse(jwksUrl) || new URL(jwksUrl).protocol !== 'https:')
    throw new Error('authJwksUrl must be an https URL')
  return { issuer, audience, jwksUrl, tenantClaim: String(context('authTenantClaim') ?? 'tenant') }
}

if (import.meta.main) createApp().synth()
