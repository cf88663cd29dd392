/**
 * The site's configuration, of commands that need its EHR.
 * @module
 */
import { Option } from 'commander'
import { type EhrConfig, readSiteConfigFile } from '../../shared/config/site.ts'
import { CodedError } from '../../shared/errors.ts'

export interface SiteOption {
  readonly site: string
}

/** Where `npm start` writes the local stack's. */
const LOCAL_SITE = '.local/site.json'

export const siteOption = () =>
  new Option('--site <file>', 'site configuration file').env('SITE_CONFIG_FILE').default(LOCAL_SITE)

/** @throws CodedError `site-config-invalid` for a site without one */
export function ehrConfig(file: string): EhrConfig {
  const { ehr } = readSiteConfigFile(file)
  if (ehr === undefined) throw new CodedError('site-config-invalid', { field: 'site.ehr' })
  return ehr
}
