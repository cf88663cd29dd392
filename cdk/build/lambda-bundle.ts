/**
 * Builds each Lambda into its own folder, ready to run: `handler.mjs` and the files that cannot be bundled. Does not use `nodeModules` of
 * `NodejsFunction`: it runs `npm ci` without our `.npmrc`, and the script of onnxruntime-node would download CUDA.
 * @module
 */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { buildSync } from 'esbuild'
import { NODE_BUNDLE } from './node-bundle.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** All Lambdas. The code of each is `functions/{name}/handler.ts`, which exports `handler`. */
export const FUNCTION_NAMES = [
  'preprocess',
  'screen',
  'report',
  'fhir-intake',
  'api',
  'synthesis-dispatch',
  'publish',
  'upkeep',
  'sign-in',
] as const
export type FunctionName = (typeof FUNCTION_NAMES)[number]

/** Targets of a bundle: platforms and architectures that onnxruntime-node has a binary for. */
export const TARGETS = ['linux-arm64', 'linux-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'] as const
export type Target = (typeof TARGETS)[number]

/**
 * The target of this machine.
 * @throws Error when onnxruntime-node has no binary for it
 */
export function hostTarget(): Target {
  const host = `${process.platform}-${process.arch}`
  const target = TARGETS.find((known) => known === host)
  if (target === undefined) throw new Error(`onnxruntime-node has no binary for this machine (${host})`)
  return target
}

/** The codec reads the other file from its own folder, which in a bundle is the function's folder. */
const FRAME_CODEC = 'streams/mqtt/frame-codec.ts'
const PROTO = 'streams/mqtt/ecg.proto'

/**
 * Builds each function for `target` into `{outdir}/{name}`. Returns the folders. One run of esbuild parses a file once for all functions.
 *
 * The output is an ES module, so that a handler may load its model with top-level `await`, and is named `.mjs`, so that Node needs no
 * package.json.
 */
export function bundleFunctions(target: Target, outdir: string): Readonly<Record<FunctionName, string>> {
  const folders = Object.fromEntries(FUNCTION_NAMES.map((name) => [name, join(outdir, name)])) as Record<
    FunctionName,
    string
  >
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true })
  const { metafile } = buildSync({
    ...NODE_BUNDLE,
    entryPoints: Object.fromEntries(FUNCTION_NAMES.map((name) => [`${name}/handler`, `functions/${name}/handler.ts`])),
    outdir: resolve(outdir),
    outExtension: { '.js': '.mjs' },
    absWorkingDir: ROOT,
    target: 'node24',
    external: ['onnxruntime-node'],
  })
  for (const [path, output] of Object.entries(metafile.outputs)) {
    const folder = dirname(resolve(ROOT, path))
    if (output.imports.some((imported) => imported.path === 'onnxruntime-node')) copyOnnxRuntime(target, folder)
    if (FRAME_CODEC in output.inputs) cpSync(join(ROOT, PROTO), join(folder, basename(PROTO)))
  }
  return folders
}

/** Copies onnxruntime-node's JavaScript and the binary of one target. The package has 350 MB of binaries for others. */
function copyOnnxRuntime(target: Target, folder: string): void {
  const runtime = packageFolder('onnxruntime-node')
  const common = packageFolder('onnxruntime-common')
  const binary = join('bin/napi-v6', ...target.split('-'))
  if (!existsSync(join(runtime, binary))) throw new Error(`onnxruntime-node has no ${binary}`)
  const modules = join(folder, 'node_modules')
  copyCode(runtime, join(modules, 'onnxruntime-node'), ['package.json', 'dist', binary])
  // CommonJS needs only dist/cjs; the ES module build is never loaded.
  copyCode(common, join(modules, 'onnxruntime-common'), ['package.json', 'dist/cjs'])
}

function copyCode(from: string, to: string, paths: readonly string[]): void {
  for (const path of paths) {
    const isRuntime = (source: string) => !/\.(d\.ts|map)$/.test(source)
    cpSync(join(from, path), join(to, path), { recursive: true, filter: isRuntime })
  }
}

function packageFolder(name: string): string {
  const manifest = findPackageJSON(name, import.meta.url)
  if (manifest === undefined) throw new Error(`${name} is not installed: run npm ci`)
  return dirname(manifest)
}

/** Every file below `folder`, as relative paths, sorted. */
export function filesOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

/** Bytes of the zip for Lambda. Slightly larger than CDK's own, whose compression level 9 takes four times as long for 1% less. */
export function zippedBytes(folder: string): number {
  const endOfDirectory = 22
  return filesOf(folder).reduce((total, file) => {
    const headers = 30 + 46 + 2 * Buffer.byteLength(file)
    return total + headers + deflateRawSync(readFileSync(join(folder, file))).length
  }, endOfDirectory)
}
