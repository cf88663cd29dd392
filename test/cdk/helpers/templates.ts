/**
 * The product's template for tests, made by CDK with functions that are empty. Files of the project `template` (`vitest.config.ts`) share a process, so that
 * each site is synthesized once for all of them.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { type AppOptions, createApp } from '../../../cdk/app.ts'
import { FUNCTION_NAMES } from '../../../cdk/build/lambda-bundle.ts'
import { checkRules } from '../../../cdk/constructs/nag.ts'
import { readSite } from '../../../cdk/site.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { SiteConfig } from '../../../shared/config/site.ts'

export type Bundles = NonNullable<AppOptions['bundles']>

/** What the model bundle of these sites can draw. */
export const RULES = { bundleSha256: 'c'.repeat(64), samplers: ['full'], default: 'full', minimumLeads: 8 }

/** A site with an EHR. */
export const WITH_EHR = SiteConfig.parse({ ehr: { baseUrl: 'https://ehr.example/fhir', auth: { kind: 'none' } } })

/** All functions from one folder with `handler.mjs`. */
export const bundlesIn = (folder: string): Bundles =>
  Object.fromEntries(FUNCTION_NAMES.map((name) => [name, folder])) as Bundles // one entry a name

const made = new Map<string, string>()

/** The template of a site; made once, and given to each caller as a copy of its own. */
export function templateOf(site: SiteConfig): Template {
  return kept(JSON.stringify(site), () => synthesized({ site }))
}

/** The template of an example site, with all rules checked: one that is broken and not acknowledged fails here, by name and construct. */
export function exampleTemplate(name: string): Template {
  const site = readSite(name)
  return kept(JSON.stringify(site), () => synthesized({ site, validation: true }, checkRules))
}

function kept(key: string, make: () => object): Template {
  const json = made.get(key) ?? JSON.stringify(make())
  made.set(key, json)
  return Template.fromJSON(JSON.parse(json))
}

/** A template of its own, whatever was made before. */
export function freshTemplate(options: AppOptions, checked?: (app: App) => App): Template {
  return Template.fromJSON(synthesized(options, checked))
}

function synthesized(options: AppOptions, checked: (app: App) => App = (app) => app): object {
  const folder = mkdtempSync(join(tmpdir(), 'cardiacnets-template-'))
  try {
    const empty = join(folder, 'function')
    mkdirSync(empty)
    writeFileSync(join(empty, 'handler.mjs'), 'export const handler = async () => {}')
    const app = createApp({
      outdir: join(folder, 'cdk.out'),
      target: 'linux-arm64',
      bundles: bundlesIn(empty),
      synthesis: RULES,
      synthesisImage: 'registry.example/synthesize:1',
      ...options,
    })
    return checked(app).synth().getStackArtifact(STACK_NAME).template
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
