/**
 * The site that is deployed: one of the worked examples by its name, or a file of one's own.
 * @module
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkTenants, parseSiteConfig, readSiteConfigFile, type SiteConfig } from '../shared/config/site.ts'

const EXAMPLES = join(import.meta.dirname, 'sites')

/** Names of the worked examples. */
export function exampleSites(): readonly string[] {
  return readdirSync(EXAMPLES)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.replace(/\.json$/, ''))
    .sort()
}

/**
 * @param nameOrFile `hospital`, or `path/to/site.json`; the defaults of everything when absent
 * @throws CodedError `site-config-invalid` by its field, `file-not-found`: at synth, not with the first result
 */
export function readSite(nameOrFile: string | undefined): SiteConfig {
  if (nameOrFile === undefined) return parseSiteConfig('{}')
  const example = join(EXAMPLES, `${nameOrFile}.json`)
  const site = readSiteConfigFile(existsSync(example) ? example : nameOrFile)
  checkTenants(site)
  return site
}

/** What functions are told of a site, as their `SITE_CONFIG`: all but how it is deployed. Lambda allows 4 KB of environment. */
export function siteVariable({ deployment: _, ...site }: SiteConfig): string {
  return JSON.stringify(site)
}
