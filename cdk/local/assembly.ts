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
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { SiteConfig } from '../../shared/config/site.ts'
import { activeBundle, activeReference, activeSite } from '../../shared/inference/active-bundle.ts'
import { STACK_NAME } from '../stack-name.ts'
import type { Template } from './template/intrinsics.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** Assemblies of earlier starts, by fingerprint. */
const CACHE = join(ROOT, 'node_modules/.cache/assemblies')
const CACHED_ASSEMBLIES = 8

/** What an assembly is made of, beside the site and the model bundle. */
const SOURCES = ['{cdk,functions,shared,streams}/**', 'package-lock.json']

/**
 * Builds the functions for this machine and synthesizes the site's stack into `folder`. Uses a separate process, because CDK takes 300 MB.
 * An assembly of the same sources, bundle and site is not made again.
 * @returns the assembly's folder
 */
export async function synthesize(folder: string, site: SiteConfig): Promise<string> {
  const outdir = join(folder, 'cdk.out')
  await rm(outdir, { recursive: true, force: true })
  const file = join(folder, 'site.json')
  const text = `${JSON.stringify(site, null, 2)}\n`
  await writeFile(file, text)
  const cached = join(CACHE, await fingerprint(text))
  if (await linkTree(cached, outdir)) return outdir
  const script = join(import.meta.dirname, '../synth.ts')
  const env = { ...process.env, CDK_CONTEXT_JSON: JSON.stringify({ site: file }) }
  await promisify(execFile)(process.execPath, [script, '--host', '--outdir', outdir], { env })
  // CDK has copied them to its assets.
  for (const name of ['functions', 'model-layer']) await rm(join(outdir, name), { recursive: true, force: true })
  await addToCache(outdir, cached)
  return outdir
}

export async function readTemplate(assemblyDir: string): Promise<Template> {
  const text = await readFile(join(assemblyDir, `${STACK_NAME}.template.json`), 'utf8')
  return JSON.parse(text) as Template // written by CDK
}

/** SHA-256 of everything that the assembly depends on. */
async function fingerprint(site: string): Promise<string> {
  const sources = await filesOf(SOURCES, ROOT, 'node_modules')
  const bundle = await filesOf(['**'], activeBundle())
  const chosen = [activeSite(), activeReference()].filter((path) => path !== undefined)
  const hash = createHash('sha256').update(`${process.version} ${process.platform} ${process.arch}\n${site}`)
  for (const path of [...sources, ...bundle, ...chosen]) {
    const content = createHash('sha256')
      .update(await readFile(path))
      .digest('hex')
    hash.update(`${relative(ROOT, path)} ${content}\n`)
  }
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
