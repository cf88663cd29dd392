/**
 * Synthesizes a site's template quickly: billed resources without the functions' code.
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

/** Priced as if the bundle could draw, where the site enables cines, because that needs more network endpoints. */
const RULES = { bundleSha256: '0'.repeat(64), samplers: ['any'], default: 'any', minimumLeads: 8 }

export function resourcesOf(site: SiteConfig): Resources {
  const folder = mkdtempSync(join(tmpdir(), 'cardiacnets-cost-'))
  try {
    const code = join(folder, 'code')
    mkdirSync(code)
    writeFileSync(join(code, 'handler.mjs'), '')
    const bundles = Object.fromEntries(FUNCTION_NAMES.map((name) => [name, code])) as Record<FunctionName, string> // one entry per name
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
