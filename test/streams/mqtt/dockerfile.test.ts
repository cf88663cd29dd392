import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ADAPTER_SOURCES, stageAdapterImage } from '../../../cdk/build/adapter-image.ts'
import { importsOf, outside, undeclared } from '../../helpers/imports-of.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const dockerfile = readFileSync(join(ROOT, 'streams/mqtt/Dockerfile'), 'utf8')
const all = (name: string) => [...dockerfile.matchAll(new RegExp(`^${name} +(.+)$`, 'gm'))].map(([, text]) => text!)

describe('the adapter’s image', () => {
  let folder: string
  beforeAll(() => {
    folder = stageAdapterImage(temporaryFolder())
  })

  it('starts from Node 24 pinned by digest, runs as an unprivileged user, and receives signals directly', () => {
    expect(all('ARG')).toEqual([expect.stringMatching(/\/node:24-/), expect.stringMatching(/=sha256:[0-9a-f]{64}$/)])
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the Dockerfile's
    for (const base of all('FROM')) expect(base).toContain('${NODE_IMAGE}@${NODE_DIGEST}')
    expect(all('USER')).toEqual(['10001:10001'])
    expect(all('ENTRYPOINT').map((text) => JSON.parse(text))).toEqual([['node']])
    expect(all('CMD').map((text) => JSON.parse(text))).toEqual([['streams/mqtt/main.ts']])
  })

  it('is built from a folder that contains everything it copies', () => {
    const copied = all('COPY')
      .filter((text) => !text.startsWith('--from'))
      .flatMap((text) => text.split(' ').slice(0, -1))

    expect(copied.filter((path) => !existsSync(join(folder, path)))).toEqual([])
  })

  it('contains every file that the entry point imports, and declares its packages', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const { files, packages } = importsOf('streams/mqtt/main.ts')

    expect(outside(files, ADAPTER_SOURCES)).toEqual([])
    expect(packages).not.toContain('onnxruntime-node')
    expect(undeclared(packages, dependencies)).toEqual([])
  })
})
