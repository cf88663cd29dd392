/** Imports point one way (docs/DESIGN 4): `shared` ← `streams` ← `functions`; `cdk` starts functions as processes; files form no circle. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const TOPS = ['shared', 'streams', 'functions', 'cdk', 'console'] as const
const IMPORT = /(?:^|\n)\s*(?:import|export)\s[^'"`;]{0,2000}?from\s'(\.[^'\n]+)'|import\('(\.[^'\n]+)'\)/g

/** What each top-level folder may import besides itself. */
const ALLOWED: Readonly<Record<(typeof TOPS)[number], readonly string[]>> = {
  shared: [],
  streams: ['shared'],
  functions: ['shared', 'streams'],
  cdk: ['shared', 'streams'],
  // Of `docs` it shows the runbook, as text.
  console: ['shared/domain', 'streams/client', 'docs'],
}

const imports = new Map(TOPS.flatMap((top) => filesOf(top)).map((file) => [file, importsOf(file)]))

describe('imports', () => {
  it.each(TOPS)('follow DESIGN 4 in %s', (top) => {
    const allowed = [top, ...ALLOWED[top]]

    const strays = edges(({ from }) => from.startsWith(`${top}/`)).filter(
      ({ to }) => !allowed.some((room) => to.startsWith(`${room}/`)) && to !== 'package.json' && !isText(to),
    )

    expect(strays.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  // The command line runs the cores in its own process.
  it('never lead from one function to another', () => {
    const strays = edges(({ from }) => from.startsWith('functions/')).filter(
      ({ from, to }) => to.startsWith('functions/') && room(from) !== room(to) && room(from) !== 'functions/cli',
    )

    expect(strays.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  it('limit @aws-sdk/lib-dynamodb to the client and the table module', () => {
    const all = [...imports.keys()].filter((file) => /from '@aws-sdk\/lib-dynamodb'/.test(textOf(file)))

    expect(all.toSorted()).toEqual(['shared/aws/clients.ts', 'shared/store/table.ts'])
  })

  it('have no cycle', () => {
    expect(circles()).toEqual([])
  })
})

/** Vite embeds the text of a page, without any code. */
const isText = (file: string) => /^docs\/[\w-]+\.md\?raw$/.test(file)

/** `functions/api/routes/ecgs.ts` → `functions/api`. */
const room = (file: string) => file.split('/').slice(0, 2).join('/')

function edges(of: (edge: { from: string; to: string }) => boolean): { from: string; to: string }[] {
  return [...imports].flatMap(([from, all]) => all.map((to) => ({ from, to }))).filter(of)
}

function filesOf(top: string): string[] {
  if (!existsSync(join(ROOT, top))) return []
  return readdirSync(join(ROOT, top), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
}

function textOf(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8')
}

function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(IMPORT)].map(([, still, lazy]) =>
    normalize(join(dirname(file), still ?? lazy ?? '')),
  )
}

/** One circle for each file that closes one. */
function circles(): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push([...path.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const next of imports.get(file) ?? []) visit(next, [...path, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return found
}
