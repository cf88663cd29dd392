/**
 * `cardiacnets models`: lists, verifies and selects model bundles.
 * @module
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import type { Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import { activeBundle, activeSite, chooseBundle, SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle } from '../../shared/inference/bundle.ts'
import { parseReference, type Reference, referenceOf } from '../../shared/inference/population.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { verifyBundle } from '../../shared/inference/session.ts'
import { type Prevalences, readSite, withPrevalences } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { type FileOptions, readOptions, takeFileOptions } from './file-options.ts'
import { parsePrevalences } from './model-options.ts'
import { errorJson, progress } from './output.ts'
import { screenRecording } from './screen-recording.ts'

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

interface UseOptions {
  readonly site?: string
  readonly prevalence?: Prevalences
  readonly reference?: string
}

export function modelsCommand(): Command {
  const models = new Command('models').description('list, verify and choose model bundles')
  models
    .command('list')
    .description('list the model bundles and mark the active one')
    .option('--json', 'print one JSON document')
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
    .description('check a bundle against its manifest: checksums, tensors, signal profile (default: the active bundle)')
    .action(async (directory = activeBundle()) => {
      const bundle = await readBundle(directory, CARDIACNETS_V1.name)
      await verifyBundle(bundle)
      print(
        `${nameOf(bundle)}: ${bundle.manifest.files.length} files, tensors and profile match. sha256 ${bundle.sha256}`,
      )
    })
  models
    .command('use <directory>')
    .description('verify a bundle and activate it')
    .option('--site <file>', 'apply a site calibration made by `evaluate`')
    .option('--prevalence <list>', 'prevalence among the people screened, such as cad=0.05,hf=0.02', parsePrevalences)
    .option('--reference <file>', 'measure drift against a reference made by `models reference`')
    .action(async (directory: string, options: UseOptions) => {
      const bundle = await readBundle(directory, CARDIACNETS_V1.name)
      const fitted = options.site === undefined ? undefined : await readSite(options.site, bundle)
      const site = options.prevalence === undefined ? fitted : withPrevalences(bundle, options.prevalence, fitted)
      await verifyBundle(bundle)
      const reference = options.reference === undefined ? undefined : await referenceText(options.reference, bundle)
      await chooseBundle(directory, site, undefined, reference)
      const corrected = site === undefined ? '' : `, corrected by site calibration ${site.sha256.slice(0, 12)}`
      print(`${nameOf(bundle)} is active${corrected}. Restart the local stack, or deploy, to serve it.`)
    })
  const reference = models
    .command('reference')
    .description('record the scores of your ECGs as the reference for drift')
    .argument('<file...>', 'at least 100 ECG files of people like those to be screened')
    .requiredOption('--out <file>', 'output file')
    .requiredOption('--dataset <words>', 'description of the ECGs, without names')
  takeFileOptions(reference).action(async (files: string[], options: ReferenceOptions) => {
    const made = await makeReference(files, options)
    await writeFile(options.out, `${JSON.stringify(made, null, 2)}\n`)
    print(
      `${options.out}. To measure drift against it: npm run cli -- models use ${activeBundle()} --reference ${options.out}`,
    )
  })
  return models
}

/**
 * Reads and checks a drift reference.
 * @throws CodedError `file-not-found`, and those of `parseReference`
 */
async function referenceText(file: string, bundle: Bundle): Promise<string> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CodedError('file-not-found', { field: 'reference' }, { cause })
  })
  parseReference(text, bundle)
  return text
}

interface ReferenceOptions extends FileOptions {
  readonly out: string
  readonly dataset: string
}

async function makeReference(files: readonly string[], options: ReferenceOptions): Promise<Reference> {
  const bundle = await readBundle(activeBundle(), CARDIACNETS_V1.name)
  const screener = await Screener.load(bundle)
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const bar = progress(files.length, 'screening')
  const results: Result[] = []
  for (const file of files) {
    const recording = await readRecording(file, readOptions(options))
    results.push((await screenRecording(screener, preparer, recording)).result)
    bar.step()
  }
  bar.stop()
  await screener.release()
  return referenceOf(bundle, options.dataset, results)
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
