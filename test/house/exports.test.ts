/** What is exported is used elsewhere: a constant, function or class that only its own file names is not exported. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const OURS = ['cdk', 'functions', 'shared', 'streams']
const EXPORT = /^export (?:async )?(?:const|function\*?|class) (\w+)/gm

/** Lambda calls it by name. */
const ENTRY = 'handler'

it('no export of a value is used by its own file alone', () => {
  const files = [...OURS, 'console', 'test'].flatMap(filesOf).map((file) => [file, textOf(file)] as const)
  const users = new Map<string, number>()
  for (const [, text] of files) {
    for (const word of new Set(text.match(/[\w$]+/g))) users.set(word, (users.get(word) ?? 0) + 1)
  }

  const unused = files
    .filter(([file]) => OURS.some((folder) => file.startsWith(`${folder}/`)))
    .flatMap(([file, text]) => [...text.matchAll(EXPORT)].map(([, name = '']) => ({ file, name })))
    .filter(({ name }) => name !== ENTRY && (users.get(name) ?? 0) < 2)

  expect(users.get('describe')).toBeGreaterThan(100)
  expect(unused).toEqual([])
})

const textOf = (file: string) => readFileSync(join(ROOT, file), 'utf8')

function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(tsx?|mjs)$/.test(entry.name))
    .map(({ name, parentPath }) => relative(ROOT, join(parentPath, name)))
    .filter((file) => !/node_modules|dist\//.test(file))
}
