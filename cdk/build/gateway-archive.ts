/**
 * `npm run gateway-archive -- [x64|arm64]`: the ward gateway as one zip in `dist/`, with Node.js and the packages that it loads, for machines
 * without npm and for AWS IoT Greengrass (`streams/gateway/deploy/greengrass-recipe.yaml`). Needs the commands `npm`, `tar` and `zip`.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join, posix, resolve } from 'node:path'
import { Argument, Command } from 'commander'
import { buildSync } from 'esbuild'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { codeVersion } from '../../shared/version.ts'

const ROOT = resolve(import.meta.dirname, '../..')

export const ARCHITECTURES = ['x64', 'arm64'] as const
export type GatewayArchitecture = (typeof ARCHITECTURES)[number]

/** The gateway, and the worker thread that it starts by file name. */
const ENTRIES = ['streams/gateway/main.ts', 'streams/gateway/screening-worker.ts']

/** Files that the sources read, and those that describe a package. */
const ASSETS = ['streams/mqtt/ecg.proto', 'LICENSE', 'NOTICE']

/** Not needed at run time: types, source maps, builds for browsers. */
const UNUSED = /\.d\.[cm]?ts$|\.map$|\/dist-types\//

/** Folders of native libraries: `bin/napi-v6/linux/x64`. */
const NATIVE = /\/(darwin|linux|win32)\/(x64|arm64)(?:\/|$)/

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly dependencies?: Readonly<Record<string, string>>
}

const locked = (): Readonly<Record<string, Locked>> =>
  (JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> }).packages

/** The gateway's own files, and the folders (`node_modules/mqtt`) of the packages that they load, with theirs. */
export function gatewayParts(): { readonly files: readonly string[]; readonly packages: readonly string[] } {
  const { metafile } = buildSync({
    entryPoints: ENTRIES,
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'unused',
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  })
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports)
  const names = imports.filter(({ external, path }) => external === true && !isBuiltin(path)).map(({ path }) => path)
  const all = locked()
  const found = new Set<string>()
  const add = (name: string, from: string) => {
    const folder = folderOf(all, name, from)
    if (found.has(folder)) return
    found.add(folder)
    for (const needed of Object.keys(all[folder]?.dependencies ?? {})) add(needed, folder)
  }
  for (const path of names) add(packageOf(path), '')
  return { files: [...Object.keys(metafile.inputs), ...ASSETS], packages: [...found].toSorted() }
}

/** `@aws-sdk/client-s3/x` → `@aws-sdk/client-s3`. */
const packageOf = (path: string) => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path

/** In Node.js's order: beside the package, then further up. */
function folderOf(all: Readonly<Record<string, Locked>>, name: string, from: string): string {
  for (let folder = from; ; folder = posix.dirname(folder)) {
    const path = posix.join(folder, 'node_modules', name)
    if (path in all && !folder.endsWith('node_modules')) return path
    if (folder === '' || folder === '.') throw new Error(`${name} is not in package-lock.json`)
  }
}

/** Writes the gateway without Node.js below `outdir`. */
export function stageGateway(outdir: string, architecture: GatewayArchitecture): void {
  rmSync(outdir, { recursive: true, force: true })
  mkdirSync(outdir, { recursive: true })
  const { files, packages } = gatewayParts()
  for (const file of files) cpSync(join(ROOT, file), join(outdir, file))
  const isWanted = (path: string) => {
    const [, system, machine] = NATIVE.exec(path) ?? []
    const isOurs = system === undefined || (system === 'linux' && machine === architecture)
    return isOurs && !UNUSED.test(path) && !path.endsWith('/node_modules')
  }
  for (const folder of packages) {
    // A package inside another one is one of the others, if it is needed.
    const filter = (path: string) => path === join(ROOT, folder) || isWanted(path)
    cpSync(join(ROOT, folder), join(outdir, folder), { recursive: true, filter })
  }
  cpSync(SHIPPED_BUNDLE, join(outdir, 'models/cardiacnets-compact'), { recursive: true })
  const { name, version, license } = ownManifest()
  const manifest = { name, version, codeVersion: codeVersion(), license, type: 'module', private: true }
  writeFileSync(join(outdir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

const ownManifest = () =>
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { name: string; version: string; license: string }

/** Name of the archive, as in the Greengrass recipe. */
export const archiveName = (architecture: GatewayArchitecture): string =>
  `cardiacnets-gateway-${ownManifest().version}-linux-${architecture}`

/** Adds Node.js of this repository's lock file as `bin/node`. */
function addNode(outdir: string, architecture: GatewayArchitecture): void {
  const name = `node-linux-${architecture}`
  const { version, integrity } = locked()[`node_modules/${name}`]!
  const folder = mkdtempSync(join(tmpdir(), 'node-'))
  try {
    execFileSync('npm', ['pack', '--silent', `${name}@${version}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const file = join(folder, `${name}-${version}.tgz`)
    const hash = `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`
    if (hash !== integrity) throw new Error(`${name}@${version} is not the one in package-lock.json`)
    mkdirSync(join(outdir, 'bin'))
    execFileSync('tar', ['-xzf', file, '-C', join(outdir, 'bin'), '--strip-components=2', 'package/bin/node'])
    chmodSync(join(outdir, 'bin/node'), 0o755)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Builds the archive in a folder, and returns its path. The unpacked files stay beside it. */
export function buildGatewayArchive(folder: string, architecture: GatewayArchitecture): string {
  const outdir = join(folder, archiveName(architecture))
  stageGateway(outdir, architecture)
  addNode(outdir, architecture)
  const archive = `${outdir}.zip`
  if (existsSync(archive)) rmSync(archive)
  execFileSync('zip', ['-q', '-r', '-X', archive, '.'], { cwd: outdir })
  return archive
}

if (import.meta.main) {
  const { args } = new Command('npm run gateway-archive --')
    .description('Builds the archive of the gateway for an architecture, or for each, in dist/.')
    .addArgument(new Argument('[architecture]').choices(ARCHITECTURES))
    .parse()
  const architectures = ARCHITECTURES.filter((each) => args.length === 0 || args.includes(each))
  for (const architecture of architectures) console.log(buildGatewayArchive(join(ROOT, 'dist'), architecture))
}
