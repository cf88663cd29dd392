/** Type assertions do not bypass the checker: there is no `as unknown as` outside tests. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const SOURCES = '{cdk,functions,shared,streams,console/src}/**/*.{ts,tsx}'

it('no source file asserts a type through `unknown`', () => {
  const files = globSync(SOURCES, { cwd: ROOT, exclude: ['**/node_modules/**', '**/generator/**'] })

  const doubled = files.filter((file) => /\bas (unknown|never|any) as\b/.test(readFileSync(join(ROOT, file), 'utf8')))

  expect(files.length).toBeGreaterThan(400)
  expect(doubled).toEqual([])
})
