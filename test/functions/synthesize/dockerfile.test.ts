import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import { beforeAll, describe, expect, it } from 'vitest'
import { IMAGE_SOURCES, stageImage } from '../../../cdk/build/synthesis-image.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { temporaryFolder } from '../../cdk/helpers/assembly.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** Instructions of a Dockerfile: comments gone, continued lines put together. */
function parse(dockerfile: string): Instruction[] {
  return dockerfile
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => {
      const [, name, text] = /^([A-Z]+) +(.+)$/.exec(line)!
      return { name: name!, text: text! }
    })
}

const instructions = parse(readFileSync(join(ROOT, 'functions/synthesize/Dockerfile'), 'utf8'))
const all = (name: string) => instructions.filter((each) => each.name === name).map(({ text }) => text)
const args = Object.fromEntries(all('ARG').map((text) => text.split('=') as [string, string]))

describe('the Dockerfile', () => {
  it('has only instructions that are known and wanted', () => {
    const wanted = ['ARG', 'FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD']

    expect(instructions.map(({ name }) => name).filter((name) => !wanted.includes(name))).toEqual([])
  })

  it('starts from images that are pinned by digest, for linux/amd64, with Node 24, CUDA 12 and cuDNN', () => {
    const bases = all('FROM').map((text) => /^--platform=linux\/amd64 \$\{(\w+)\}@\$\{(\w+)\}( AS \w+)?$/.exec(text)!)

    expect(bases).toHaveLength(2)
    for (const [, , digest] of bases) expect(args[digest!]).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(bases.map(([, image]) => args[image!])).toEqual([
      expect.stringMatching(/\/node:24-/),
      expect.stringMatching(/\/nvidia\/cuda:12\.\d+\.\d+-cudnn-runtime-/),
    ])
  })

  it('installs what the lock file says without scripts, and runs onnxruntime’s own for a CUDA that it knows', () => {
    const { requirements } = createRequire(import.meta.url)(
      join(ROOT, 'node_modules/onnxruntime-node/script/install-metadata.js'),
    )
    const [ci, cuda] = all('RUN')

    expect(ci).toMatch(/^npm ci /)
    const [, version] = /^ONNXRUNTIME_NODE_INSTALL=(\w+) node node_modules\/(\S+)/.exec(cuda!)!
    expect(requirements['linux/x64']).toContain(version)
    // What is checked is what the script fetches.
    expect(cuda).toContain(
      'test -f node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so',
    )
    expect(existsSync(join(ROOT, 'node_modules/onnxruntime-node/script/install.js'))).toBe(true)
    expect(all('RUN').join()).not.toMatch(/curl|wget|sudo|\blatest\b/)
  })

  it('runs as nobody, by a command that gets signals itself, and on the GPU unless told otherwise', () => {
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))

    expect(last.find(({ name }) => name === 'USER')?.text).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(JSON.parse(last.find(({ name }) => name === 'ENTRYPOINT')!.text)).toEqual(['node'])
    expect(JSON.parse(last.find(({ name }) => name === 'CMD')!.text)).toEqual(['functions/synthesize/main.ts'])
    expect(all('ENV').join()).toContain('EXECUTION_PROVIDER=cuda')
  })
})

describe('the folder that it is built from', () => {
  let folder: string
  beforeAll(() => {
    folder = stageImage(SHIPPED_BUNDLE, temporaryFolder())
  })

  it('has what is copied', () => {
    const copied = all('COPY')
      .filter((text) => !text.startsWith('--from'))
      .flatMap((text) => text.split(' ').slice(0, -1))

    expect(copied.filter((path) => !existsSync(join(folder, path)))).toEqual([])
    expect(existsSync(join(folder, 'model/manifest.json'))).toBe(true)
  })

  it('has every file that the entry point imports', () => {
    const { metafile } = buildSync({
      entryPoints: [join(ROOT, 'functions/synthesize/main.ts')],
      absWorkingDir: ROOT,
      bundle: true,
      write: false,
      outdir: 'out',
      packages: 'external',
      platform: 'node',
      format: 'esm',
      metafile: true,
    })

    const outside = Object.keys(metafile.inputs).filter(
      (path) => !IMAGE_SOURCES.some((source) => !relative(source, path).startsWith('..')),
    )
    expect(outside).toEqual([])
  })
})
