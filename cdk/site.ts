/**
 * The site that is deployed: an example by name, or a file.
 * @module
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkTenants, parseSiteConfig, readSiteConfigFile, type SiteConfig } from '../shared/config/site.ts'

const EXAMPLES = join(import.meta.dirname, 'sites')

/** Names of the example sites. */
export function exampleSites(): readonly string[] {
  return readdirSync(EXAMPLES)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.replace(/\.json$/, ''))
    .sort()
}

/**
 * Reads a site's configuration.
 * @param nameOrFile `hospital`, or `path/to/site.json`; all defaults when absent
 * @throws CodedError `site-config-invalid` naming the field, `file-not-found`: at synth and not with the first result
 */
export function readSite(nameOrFile: string | undefined): SiteConfig {
  if (nameOrFile === undefined) return parseSiteConfig('{}')
  const example = join(EXAMPLES, `${nameOrFile}.json`)
  const site = readSiteConfigFile(existsSync(example) ? example : nameOrFile)
  checkTenants(site)
  return site
}

/** `SITE_CONFIG` of the functions: everything except `deployment`. Lambda allows 4 KB of environment. */
export function siteVariable({ deployment: _, ...site }: SiteConfig): string {
  return JSON.stringify(site)
}
