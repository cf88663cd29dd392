import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { IMAGE_SOURCES, stageImage } from '../../../cdk/build/synthesis-image.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { importsOf, outside, undeclared } from '../../helpers/imports-of.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

interface Instruction {
  readonly name: string
  readonly text: string
}

/** Instructions of a Dockerfile, without comments and with continued lines joined. */
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

describe('the synthesis Dockerfile', () => {
  it('uses only known instructions', () => {
    const wanted = ['ARG', 'FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD']

    expect(instructions.map(({ name }) => name).filter((name) => !wanted.includes(name))).toEqual([])
  })

  it('starts from Node 24 for linux/amd64, pinned by digest', () => {
    const bases = all('FROM').map((text) => /^--platform=linux\/amd64 \$\{(\w+)\}@\$\{(\w+)\}( AS \w+)?$/.exec(text)!)

    expect(bases).toHaveLength(3)
    for (const [, image, digest] of bases) {
      expect(args[digest!]).toMatch(/^sha256:[0-9a-f]{64}$/)
      expect(args[image!]).toMatch(/\/node:24-/)
    }
  })

  it('installs the CUDA provider of the installed onnxruntime-node, with each wheel checked by sha256', () => {
    const lock = readFileSync(join(ROOT, 'functions/synthesize/cuda-requirements.txt'), 'utf8')
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'))
    const wheels = lock.split(/\n(?=\w)/)

    expect(lock).toContain(`onnxruntime-gpu==${packages['node_modules/onnxruntime-node'].version} `)
    for (const wheel of wheels) expect(wheel).toMatch(/^[\w-]+==\d[\d.]+ \\\n +--hash=sha256:[0-9a-f]{64}/)
    expect(all('RUN').filter((run) => run.includes('pip install'))).toEqual([
      expect.stringMatching(/ --require-hashes --no-deps --only-binary=:all: .* -r cuda-requirements.txt$/),
    ])
  })

  it('locks every listed CUDA library', () => {
    const names = (file: string) =>
      [...readFileSync(join(ROOT, 'functions/synthesize', file), 'utf8').matchAll(/^([\w-]+)==/gm)].map(
        ([, name]) => name,
      )

    expect(names('cuda-requirements.txt')).toEqual(names('cuda-requirements.in').toSorted())
  })

  it('runs as an unprivileged user, receives signals directly, and uses the GPU by default', () => {
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))

    expect(last.find(({ name }) => name === 'USER')?.text).toMatch(/^[1-9]\d*:[1-9]\d*$/)
    expect(JSON.parse(last.find(({ name }) => name === 'ENTRYPOINT')!.text)).toEqual(['node'])
    expect(JSON.parse(last.find(({ name }) => name === 'CMD')!.text)).toEqual(['functions/synthesize/main.ts'])
    expect(all('ENV').join()).toContain('EXECUTION_PROVIDER=cuda')
  })
})

describe('the synthesis image’s build folder', () => {
  let folder: string
  beforeAll(() => {
    folder = stageImage(SHIPPED_BUNDLE, temporaryFolder())
  })

  it('contains everything that is copied', () => {
    const copied = all('COPY')
      .filter((text) => !text.startsWith('--from'))
      .flatMap((text) => text.split(' ').slice(0, -1))

    expect(copied.filter((path) => !existsSync(join(folder, path)))).toEqual([])
    expect(existsSync(join(folder, 'model/manifest.json'))).toBe(true)
  })

  it('contains every file that the entry point imports', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const { files, packages } = importsOf('functions/synthesize/main.ts', 'functions/synthesize/worker.ts')

    expect(outside(files, IMAGE_SOURCES)).toEqual([])
    expect(undeclared(packages, dependencies)).toEqual([])
  })
})
