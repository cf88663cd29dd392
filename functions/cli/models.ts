/**
 * `cardiacnets models`: look at model bundles, check them, choose one.
 * @module
 */
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { activeBundle, activeSite, chooseBundle, SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle } from '../../shared/inference/bundle.ts'
import { verifyBundle } from '../../shared/inference/session.ts'
import { type Prevalences, readSite, withPrevalences } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { parsePrevalences } from './model-options.ts'
import { errorJson } from './output.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

interface UseOptions {
  readonly site?: string
  readonly prevalence?: Prevalences
}

export function modelsCommand(): Command {
  const models = new Command('models').description('look at model bundles, check them, choose one')
  models
    .command('list')
    .description('the bundles beside the shipped one, and which is active')
    .option('--json', 'one JSON document')
    .action(async ({ json }: { json?: boolean }) => {
      const found = await listBundles()
      if (json) return print(JSON.stringify(found, null, 2))
      for (const { active, directory, ...entry } of found) {
        const what = 'error' in entry ? entry.error.code : describeEntry(entry)
        print(`${active ? '*' : ' '} ${what}  ${directory}`)
      }
    })
  models
    .command('verify [directory]')
    .description('check bytes, tensors and profile against the manifest (default: the active bundle)')
    .action(async (directory = activeBundle()) => {
      const bundle = await readBundle(directory, CARDIACNETS_V1.name)
      await verifyBundle(bundle)
      print(
        `${nameOf(bundle)}: ${bundle.manifest.files.length} files, tensors and profile match. sha256 ${bundle.sha256}`,
      )
    })
  models
    .command('use <directory>')
    .description('verify a bundle and make it the active one of this working copy')
    .option('--site <file>', 'correct its findings by a site calibration that `evaluate` made')
    .option('--prevalence <list>', 'base rates of those who are screened, as cad=0.05,hf=0.02', parsePrevalences)
    .action(async (directory: string, options: UseOptions) => {
      const bundle = await readBundle(directory, CARDIACNETS_V1.name)
      const fitted = options.site === undefined ? undefined : await readSite(options.site, bundle)
      const site = options.prevalence === undefined ? fitted : withPrevalences(bundle, options.prevalence, fitted)
      await verifyBundle(bundle)
      await chooseBundle(directory, site)
      const corrected = site === undefined ? '' : `, corrected by site calibration ${site.sha256.slice(0, 12)}`
      print(`${nameOf(bundle)} is active${corrected}. Restart the local stack, or deploy, to serve it.`)
    })
  return models
}

function describeEntry({
  name,
  version,
  sha256,
  site,
}: {
  name: string
  version: string
  sha256: string
  site?: string
}) {
  const corrected = site === undefined ? '' : `, site calibration ${site.slice(0, 12)}`
  return `${name}@${version} ${sha256.slice(0, 12)}${corrected}`
}

const nameOf = ({ manifest }: Bundle) => `${manifest.name}@${manifest.version}`

async function listBundles() {
  const home = resolve(SHIPPED_BUNDLE, '..')
  const entries = await readdir(home, { withFileTypes: true })
  const inHome = entries
    .filter((entry) => entry.isDirectory() && entry.name !== 'training')
    .map(({ name }) => join(home, name))
  const active = resolve(activeBundle())
  return Promise.all(
    [...new Set([active, ...inHome])].map(async (directory) => {
      const place = { directory, active: directory === active }
      try {
        const bundle = await readBundle(directory, CARDIACNETS_V1.name)
        const { manifest, sha256 } = bundle
        const site = place.active ? activeSite() : undefined
        const corrected = site === undefined ? {} : { site: (await readSite(site, bundle)).sha256 }
        return {
          ...place,
          name: manifest.name,
          version: manifest.version,
          profile: manifest.profile,
          sha256,
          ...corrected,
        }
      } catch (error) {
        return { ...place, error: errorJson(error) }
      }
    }),
  )
}
