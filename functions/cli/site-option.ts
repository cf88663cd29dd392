/**
 * The `--site` option, for commands that need the site's EHR.
 * @module
 */
import { Option } from 'commander'
import { type EhrConfig, readSiteConfigFile } from '../../shared/config/site.ts'
import { CodedError } from '../../shared/errors.ts'

export interface SiteOption {
  readonly site: string
}

/** Where `npm start` writes the local stack's configuration. */
const LOCAL_SITE = '.local/site.json'

export const siteOption = () =>
  new Option('--site <file>', 'site configuration file').env('SITE_CONFIG_FILE').default(LOCAL_SITE)

/**
 * The EHR of a site's configuration.
 * @throws CodedError `site-config-invalid` for a site without an EHR
 */
export function ehrConfig(file: string): EhrConfig {
  const { ehr } = readSiteConfigFile(file)
  if (ehr === undefined) throw new CodedError('site-config-invalid', { field: 'site.ehr' })
  return ehr
}
