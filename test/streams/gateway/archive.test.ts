import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ARCHITECTURES, archiveName, gatewayParts, stageGateway } from '../../../cdk/build/gateway-archive.ts'
import { startGatewayProcess } from './process.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

/** ELF machines (e_machine, at byte 18). */
const MACHINES = { x64: 62, arm64: 183 } as const

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'archive-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe("the gateway's archive", () => {
  it.each(ARCHITECTURES)('has the native libraries of %s, and no others', (architecture) => {
    stageGateway(folder, architecture)

    const native = globSync('**/*.{node,so,so.*,dylib,dll}', { cwd: folder }).filter((path) => !/\.[jt]s$/.test(path))
    expect(native.map((path) => path.split('/').at(-1)).toSorted()).toEqual([
      'libonnxruntime.so.1',
      'onnxruntime_binding.node',
    ])
    for (const path of native) {
      expect([path, readFileSync(join(folder, path)).readUInt16LE(18)]).toEqual([path, MACHINES[architecture]])
    }
  })

  it('runs without the repository', { timeout: 120_000 }, async () => {
    const app = join(folder, 'app')
    stageGateway(app, 'x64')
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
