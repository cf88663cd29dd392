import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  ARCHITECTURES,
  archiveName,
  type GatewayArchitecture,
  gatewayParts,
  stageGateway,
} from '../../../cdk/build/gateway-archive.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startGatewayProcess } from './process.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

/** ELF machines (e_machine, at byte 18). */
const MACHINES = { x64: 62, arm64: 183 } as const

const folder = temporaryFolder()
const staged = (architecture: GatewayArchitecture) => join(folder, architecture)

beforeAll(() => {
  for (const architecture of ARCHITECTURES) stageGateway(staged(architecture), architecture)
})

describe("the gateway's archive", () => {
  it.each(ARCHITECTURES)('has the native libraries of %s, and no others', (architecture) => {
    const app = staged(architecture)

    const native = globSync('**/*.{node,so,so.*,dylib,dll}', { cwd: app }).filter((path) => !/\.[jt]s$/.test(path))
    expect(native.map((path) => path.split('/').at(-1)).toSorted()).toEqual([
      'libonnxruntime.so.1',
      'onnxruntime_binding.node',
    ])
    for (const path of native) {
      expect([path, readFileSync(join(app, path)).readUInt16LE(18)]).toEqual([path, MACHINES[architecture]])
    }
  })

  it('runs without the repository', { timeout: 120_000 }, async () => {
    const app = staged('x64')
    const file = join(folder, 'gateway.json')
    writeFileSync(file, JSON.stringify({ data: 'data', mqtt: { port: 0 }, hl7: { port: 0 }, status: { port: 0 } }))

    const gateway = await startGatewayProcess(file, { main: join(app, 'streams/gateway/main.ts') })
    const answer = await fetch(`http://127.0.0.1:${gateway.ports.status}/healthz`)

    expect(answer.status).toBe(200)
    await gateway.kill()
  })

  it('is named and started by the Greengrass recipe for each architecture', () => {
    const recipe = readFileSync(join(ROOT, 'streams/gateway/deploy/greengrass-recipe.yaml'), 'utf8')
    const { files } = gatewayParts()

    const names = [...recipe.matchAll(/s3:\/\/BUCKET\/(\S+)\.zip/g)].map(([, name]) => name)
    const folders = [...recipe.matchAll(/decompressedPath\}\/(\S+) &&/g)].map(([, name]) => name)
    const [, started] = /bin\/node (?:--\S+ )*(\S+\.ts)/.exec(recipe)!
    expect(names).toEqual(ARCHITECTURES.map(archiveName))
    expect(folders).toEqual(names)
    expect(files).toContain(started)
  })
})

// Packages with native code are built neither on the machine nor for one machine only.
it("the gateway's native dependencies exist for both architectures", () => {
  const { packages } = gatewayParts()

  const native = packages.flatMap((path) => globSync('**/*.node', { cwd: join(ROOT, path) }))

  expect(packages).toContain('node_modules/onnxruntime-node')
  expect(native.filter((path) => !/(?:darwin|linux|win32)\/(?:x64|arm64)\//.test(path))).toEqual([])
})
