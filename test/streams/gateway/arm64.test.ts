import { globSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, resolve } from 'node:path'
import { buildSync } from 'esbuild'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')

/** ELF machines (e_machine, at byte 18). */
const MACHINES = { x64: 62, arm64: 183 } as const

interface Locked {
  readonly dependencies?: Readonly<Record<string, string>>
}

/** Packages that the gateway loads, and theirs; the optional ones are not installed (Dockerfile). */
function packages(): ReadonlySet<string> {
  const { metafile } = buildSync({
    entryPoints: ['main', 'screening-worker'].map((name) => join(ROOT, `streams/gateway/${name}.ts`)),
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    metafile: true,
    outdir: 'nowhere',
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  })
  const { packages: locked } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  const waiting = Object.values(metafile.inputs)
    .flatMap(({ imports }) => imports)
    .filter(({ external, path }) => external === true && !isBuiltin(path))
    .map(({ path }) =>
      path
        .split('/')
        .slice(0, path.startsWith('@') ? 2 : 1)
        .join('/'),
    )
  const found = new Set<string>()
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue
    found.add(name)
    waiting.push(...Object.keys(locked[`node_modules/${name}`]?.dependencies ?? {}))
  }
  return found
}

it('the gateway’s native dependencies exist for arm64 as well as for x64', () => {
  const all = packages()
  const native = [...all].flatMap((name) =>
    globSync('**/linux/{x64,arm64}/*.{node,so,so.*}', { cwd: join(ROOT, 'node_modules', name) }).map((path) =>
      join(ROOT, 'node_modules', name, path),
    ),
  )
  const others = [...all].flatMap((name) => globSync('**/*.node', { cwd: join(ROOT, 'node_modules', name) }))

  expect(all.has('onnxruntime-node')).toBe(true)
  const of = (machine: keyof typeof MACHINES) => native.filter((path) => path.includes(`/linux/${machine}/`))
  expect(of('arm64').length).toBeGreaterThan(1)
  expect(of('arm64').map((path) => path.replace('/arm64/', '/x64/'))).toEqual(
    expect.arrayContaining(of('x64').filter((path) => !/providers_(?:cuda|tensorrt)/.test(path))),
  )
  for (const machine of ['x64', 'arm64'] as const) {
    for (const path of of(machine))
      expect([path, readFileSync(path).readUInt16LE(18)]).toEqual([path, MACHINES[machine]])
  }
  // None of them is built on the machine, or there for one machine only.
  expect(others.filter((path) => !/(?:darwin|linux|win32)\/(?:x64|arm64)\//.test(path))).toEqual([])
})
