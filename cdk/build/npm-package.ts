/**
 * `npm run build` (npm runs it before `npm pack`): writes `dist/`, from which the installed `cardiacnets` runs. Node.js does not strip types
 * below node_modules, so each source file becomes one JavaScript file at the same path, with the files that the sources read beside them.
 * @module
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { buildSync, transformSync } from 'esbuild'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'
import { codeVersion } from '../../shared/version.ts'

const ROOT = resolve(import.meta.dirname, '../..')

/** The command line, and the worker thread that it starts by its address. */
const ENTRIES = ['functions/cli/main.ts', 'streams/gateway/screening-worker.ts']

/** What the sources read beside themselves. */
const ASSETS = ['streams/mqtt/ecg.proto', 'functions/cli/demo/virtual-ecg.hea', 'functions/cli/demo/virtual-ecg.dat']

/** A relative import of ours, or the address of a worker. */
const SOURCE_PATH = /(['"])(\.{1,2}\/[\w./-]+)\.ts\1/g

/** Writes the package's files below `outdir`. */
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
  const manifest = { name: 'cardiacnets-edge-dist', private: true, type: 'module', version: codeVersion() }
  write(join(outdir, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function compiled(path: string): string {
  const { code } = transformSync(readFileSync(join(ROOT, path), 'utf8'), {
    loader: 'ts',
    format: 'esm',
    target: 'node22',
    sourcefile: path,
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  return code.replace(SOURCE_PATH, '$1$2.js$1')
}

function write(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
}

if (import.meta.main) buildPackage(join(ROOT, 'dist'))
