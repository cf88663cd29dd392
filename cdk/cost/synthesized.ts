/**
 * A site's template, quickly: what is billed is in it, the functions' code is not.
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SiteConfig } from '../../shared/config/site.ts'
import { createApp } from '../app.ts'
import { FUNCTION_NAMES, type FunctionName } from '../build/lambda-bundle.ts'
import { STACK_NAME } from '../stack-name.ts'
import type { Resources } from './fixed.ts'

/** Priced as if the bundle could draw, where the site wants cines: their network is there then. */
const RULES = { bundleSha256: '0'.repeat(64), samplers: ['any'], default: 'any', minimumLeads: 8 }

export function resourcesOf(site: SiteConfig): Resources {
  const folder = mkdtempSync(join(tmpdir(), 'cardiacnets-cost-'))
  try {
    const code = join(folder, 'code')
    mkdirSync(code)
    writeFileSync(join(code, 'handler.mjs'), '')
    const bundles = Object.fromEntries(FUNCTION_NAMES.map((name) => [name, code])) as Record<FunctionName, string> // one entry a name
    const app = createApp({
      outdir: join(folder, 'cdk.out'),
      target: `linux-${site.deployment.architecture}`,
      bundles,
      site,
      synthesis: RULES,
      synthesisImage: 'registry.example/synthesize:1',
    })
    return app.synth().getStackArtifact(STACK_NAME).template.Resources
  } finally {
    rmSync(folder, { recursive: true })
  }
}
