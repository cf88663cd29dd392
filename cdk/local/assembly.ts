/**
 * The cloud assembly of the local stack: the template and the functions' bundles.
 * @module
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFile,
  glob,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { SiteConfig } from '../../shared/config/site.ts'
import { activeBundle, activeReference, activeSite } from '../../shared/inference/active-bundle.ts'
import { STACK_NAME } from '../stack-name.ts'
import type { Template } from './template/intrinsics.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Assemblies of earlier starts, by fingerprint. */
const CACHE = join(ROOT, 'node_modules/.cache/assemblies')
const CACHED_ASSEMBLIES = 8

/**
 * What stands in kept assemblies for the values of a local site that differ from start to start: addresses of servers on free ports, and
 * a file in the data folder.
 */
const STAND_INS = {
  baseUrl: 'http://127.0.0.1:65535/stand-in/ehr',
  ourUrl: 'http://127.0.0.1:65535/stand-in/api',
  secretFile: '/stand-in/fhir-secret',
} as const

/** What an assembly is made of, beside the site and the model bundle. */
const SOURCES = ['{cdk,functions,shared,streams}/**', 'package-lock.json']

/**
 * Builds the functions for this machine and synthesizes the site's stack into `folder`. Uses a separate process, because CDK takes 300 MB.
 * An assembly of the same sources, bundle and site is not made again. Leaves `site.json` in `folder`, for the commands of the CLI.
 * @returns the assembly's folder
 */
export async function synthesize(folder: string, site: SiteConfig): Promise<string> {
  const outdir = join(folder, 'cdk.out')
  await rm(outdir, { recursive: true, force: true })
  await writeFile(join(folder, 'site.json'), textOf(site))
  const { lasting, values } = withStandIns(site)
  const cached = join(CACHE, await fingerprint(textOf(lasting)))
  if (!(await linkTree(cached, outdir))) await make(folder, outdir, lasting, cached)
  if (values.size > 0) await putValues(templateOf(outdir), values)
  return outdir
}

const textOf = (site: SiteConfig) => `${JSON.stringify(site, null, 2)}\n`

async function make(folder: string, outdir: string, site: SiteConfig, cached: string): Promise<void> {
  const file = join(folder, 'assembly-site.json')
  await writeFile(file, textOf(site))
  const script = join(import.meta.dirname, '../synth.ts')
  const env = { ...process.env, CDK_CONTEXT_JSON: JSON.stringify({ site: file }) }
  await promisify(execFile)(process.execPath, [script, '--host', '--outdir', outdir], { env })
  await rm(file)
  // CDK has copied them to its assets.
  for (const name of ['functions', 'model-layer']) await rm(join(outdir, name), { recursive: true, force: true })
  await addToCache(outdir, cached)
}

const templateOf = (assemblyDir: string) => join(assemblyDir, `${STACK_NAME}.template.json`)

export async function readTemplate(assemblyDir: string): Promise<Template> {
  return JSON.parse(await readFile(templateOf(assemblyDir), 'utf8')) as Template // written by CDK
}

/** The site with stand-ins, and the value of each. Only the sandbox EHR's site has such values. */
function withStandIns(site: SiteConfig): {
  readonly lasting: SiteConfig
  readonly values: ReadonlyMap<string, string>
} {
  const { ehr } = site
  const { baseUrl, subscription } = ehr ?? {}
  const secretFile = subscription && 'file' in subscription.secret ? subscription.secret.file : undefined
  // The template holds them in JSON within JSON, where a value that JSON must escape could not simply be replaced.
  const isPlain = (value: string | undefined) => value !== undefined && JSON.stringify(value) === `"${value}"`
  const arePlain = [baseUrl, subscription?.ourUrl, secretFile].every(isPlain)
  if (ehr === undefined || subscription === undefined || secretFile === undefined || !arePlain) {
    return { lasting: site, values: new Map() }
  }
  const values = new Map([
    [STAND_INS.baseUrl, ehr.baseUrl],
    [STAND_INS.ourUrl, subscription.ourUrl],
    [STAND_INS.secretFile, secretFile],
  ])
  const standIns = { ...subscription, ourUrl: STAND_INS.ourUrl, secret: { file: STAND_INS.secretFile } }
  return { lasting: { ...site, ehr: { ...ehr, baseUrl: STAND_INS.baseUrl, subscription: standIns } }, values }
}

/** Replaces the stand-ins in a template, in a file of its own: the one that is there may be the kept assembly's. */
async function putValues(path: string, values: ReadonlyMap<string, string>): Promise<void> {
  let text = await readFile(path, 'utf8')
  for (const [standIn, value] of values) text = text.replaceAll(standIn, value)
  await rm(path)
  await writeFile(path, text)
}

/** SHA-256 of everything that the assembly depends on. */
async function fingerprint(site: string): Promise<string> {
  const sources = await filesOf(SOURCES, ROOT, 'node_modules')
  const bundle = activeBundle()
  const chosen = [activeSite(), activeReference()].filter((path) => path !== undefined)
  const hash = createHash('sha256').update(`${process.version} ${process.platform} ${process.arch}\n${site}`)
  const add = async (name: string, path: string) => {
    const content = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    hash.update(`${name} ${content}\n`)
  }
  for (const path of sources) await add(relative(ROOT, path), path)
  // By their names in the bundle: the same bundle in another folder gives the same assembly.
  for (const path of await filesOf(['**'], bundle)) await add(relative(bundle, path), path)
  for (const path of chosen) await add(basename(path), path)
  return hash.digest('hex')
}

/** Files that the patterns name, sorted. */
async function filesOf(patterns: readonly string[], cwd: string, without?: string): Promise<readonly string[]> {
  const exclude = ({ name }: { readonly name: string }) => name === without
  const found = await Array.fromAsync(glob(patterns, { cwd, withFileTypes: true, exclude }))
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/** Keeps an assembly for later starts. A cache that cannot be written is no reason to fail. */
async function addToCache(outdir: string, cached: string): Promise<void> {
  try {
    await mkdir(CACHE, { recursive: true })
    const unfinished = await mkdtemp(join(CACHE, 'unfinished-'))
    await linkTree(outdir, unfinished)
    // Another process may have added the same one.
    await rename(unfinished, cached).catch(() => rm(unfinished, { recursive: true }))
    await removeOldest()
  } catch {
    // The next start makes it again.
  }
}

async function removeOldest(): Promise<void> {
  const entries = await Promise.all(
    (await readdir(CACHE)).map(async (name) => ({ name, usedMs: (await stat(join(CACHE, name))).mtimeMs })),
  )
  const oldest = entries.toSorted((a, b) => b.usedMs - a.usedMs).slice(CACHED_ASSEMBLIES)
  await Promise.all(oldest.map(({ name }) => rm(join(CACHE, name), { recursive: true, force: true })))
}

/**
 * Gives `to` the files of `from` by hard links, or by copies on another file system.
 * @returns whether `from` exists
 */
async function linkTree(from: string, to: string): Promise<boolean> {
  try {
    // The time of its last use.
    await utimes(from, new Date(), new Date())
  } catch {
    return false
  }
  for (const path of await filesOf(['**'], from)) {
    const name = relative(from, path)
    const target = join(to, name)
    await mkdir(dirname(target), { recursive: true })
    // Each function has a copy of ONNX Runtime (45 MB), made from the installed one.
    const installed = join(ROOT, name.slice(name.indexOf('node_modules/')))
    await link(name.includes('node_modules/') ? installed : path, target).catch(() => copyFile(path, target))
  }
  return true
}
