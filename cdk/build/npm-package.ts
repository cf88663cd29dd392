/**
 * `npm run package` builds the command line's npm package in `dist/` and packs it. Node.js does not strip types below node_modules, so each
 * source file becomes one JavaScript file at the same path, together with the files that the sources read.
 * @module
 */

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, resolve } from 'node:path'
import { Command } from 'commander'
import { buildSync, type Metafile, transformSync } from 'esbuild'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { codeVersion } from '../../shared/version.ts'
import { NODE_BUNDLE } from './node-bundle.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** The command line, and the worker thread that it starts by file name. */
const ENTRIES = ['functions/cli/main.ts', 'streams/gateway/screening-worker.ts']

/** Files that the sources read, and those that describe a package. */
const ASSETS = [
  ...['streams/mqtt/ecg.proto', 'functions/cli/demo/virtual-ecg.hea', 'functions/cli/demo/virtual-ecg.dat'],
  ...['functions/cli/bin.mjs', 'README.md', 'CHANGELOG.md', 'LICENSE', 'NOTICE'],
]

/**
 * Packages that are bundled in. npm would install dcmjs three times with all of core-js (57 MB): `overrides` apply to a clone, but not to
 * an installed package.
 */
const BUILT_IN = ['dcmjs', 'dcmjs-dimse']
const BUILT_IN_FOLDER = 'packages'

/** A relative import of our own code, or the file name of a worker. */
const SOURCE_PATH = /(['"])(\.{1,2}\/[\w./-]+)\.ts\1/g

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly engines: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
}

/** Writes the package below `outdir`. */
export function buildPackage(outdir: string): void {
  rmSync(outdir, { recursive: true, force: true })
  const { metafile } = buildSync({
    entryPoints: ENTRIES,
    absWorkingDir: ROOT,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    outdir: 'unused',
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  for (const path of Object.keys(metafile.inputs)) {
    if (!path.endsWith('.ts')) write(join(outdir, path), readFileSync(join(ROOT, path)))
    else write(join(outdir, path.replace(/\.ts$/, '.js')), compiled(path))
  }
  for (const path of ASSETS) write(join(outdir, path), readFileSync(join(ROOT, path)))
  cpSync(SHIPPED_BUNDLE, join(outdir, 'models/cardiacnets-compact'), { recursive: true })
  buildIn(join(outdir, BUILT_IN_FOLDER))
  write(join(outdir, 'package.json'), `${JSON.stringify(manifestOf(metafile), null, 2)}\n`)
}

/** Lists only those dependencies that the sources import. */
function manifestOf({ inputs }: Metafile) {
  const text = readFileSync(join(ROOT, 'package.json'), 'utf8')
  const { name, version, description, license, engines, bin, dependencies }: Manifest = JSON.parse(text)
  const imported = new Set(Object.values(inputs).flatMap(({ imports }) => imports.map(({ path }) => packageOf(path))))
  const installed = Object.entries(dependencies).filter(([name]) => imported.has(name) && !BUILT_IN.includes(name))
  const fixed = { name, version, codeVersion: codeVersion(), description, license, type: 'module', engines, bin }
  return { ...fixed, dependencies: Object.fromEntries(installed) }
}

/** `@aws-sdk/client-s3/x` → `@aws-sdk/client-s3`. */
const packageOf = (path: string) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path

function compiled(path: string): string {
  const { code } = transformSync(readFileSync(join(ROOT, path), 'utf8'), {
    loader: 'ts',
    format: 'esm',
    target: 'node22',
    sourcefile: path,
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  const folder = posix.relative(posix.dirname(path), BUILT_IN_FOLDER)
  return BUILT_IN.reduce(
    (text, name) => text.replaceAll(`from "${name}"`, `from "${folder}/${name}.js"`),
    code.replace(SOURCE_PATH, '$1$2.js$1'),
  )
}

/** Writes each package of {@link BUILT_IN} with its dependencies as one file, shared code as another, and their licences. */
function buildIn(folder: string): void {
  const { metafile } = buildSync({
    ...NODE_BUNDLE,
    entryPoints: BUILT_IN,
    absWorkingDir: ROOT,
    outdir: folder,
    splitting: true,
    target: 'node22',
  })
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []),
  )
  write(join(folder, 'LICENSES.txt'), [...packages].toSorted().map(licenceOf).join('\n'))
}

function licenceOf(folder: string): string {
  const file = readdirSync(join(ROOT, folder)).find((name) => /^licen[cs]e/i.test(name))
  if (file === undefined) throw new Error(`${folder} has no licence file`)
  return `--- ${folder.replace('node_modules/', '')}\n\n${readFileSync(join(ROOT, folder, file), 'utf8').trim()}\n`
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

if (import.meta.main) {
  const { packDestination } = new Command('npm run package --')
    .description('Builds the npm package of the command line in dist/ and packs it.')
    .option('--pack-destination <folder>', 'where to write the packed file', ROOT)
    .parse()
    .opts<{ packDestination: string }>()
  buildPackage(join(ROOT, 'dist'))
  execFileSync('npm', ['pack', './dist', '--pack-destination', resolve(packDestination)], {
    cwd: ROOT,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
}
