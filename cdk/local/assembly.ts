/**
 * The cloud assembly of the local stack: the template and the functions' bundles.
 * @module
 */
import { execFile } from 'node:child_process'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SiteConfig } from '../../shared/config/site.ts'
import { STACK_NAME } from '../stack-name.ts'
import type { Template } from './template/intrinsics.ts'

/**
 * Builds the functions for this machine and synthesizes the site's stack into `folder`. Uses a separate process, because CDK takes 300 MB.
 */
export async function synthesize(folder: string, site: SiteConfig): Promise<string> {
  const outdir = join(folder, 'cdk.out')
  await rm(outdir, { recursive: true, force: true })
  const file = join(folder, 'site.json')
  await writeFile(file, `${JSON.stringify(site, null, 2)}\n`)
  const script = join(import.meta.dirname, '../synth.ts')
  const env = { ...process.env, CDK_CONTEXT_JSON: JSON.stringify({ site: file }) }
  await promisify(execFile)(process.execPath, [script, '--host', '--outdir', outdir], { env })
  return outdir
}

export async function readTemplate(assemblyDir: string): Promise<Template> {
  const text = await readFile(join(assemblyDir, `${STACK_NAME}.template.json`), 'utf8')
  return JSON.parse(text) as Template // written by CDK
}
