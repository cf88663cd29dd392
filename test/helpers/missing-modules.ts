/**
 * A plugin of Vite for an older tree of the product: a module that tests import and that did not exist then is stood in for, so that a test fails at
 * what it tests and not at its imports. Each export of a stand-in is a function that returns itself, whatever is asked of it, and an empty list.
 * @module
 */
import { appendFileSync, existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Plugin } from 'vite'

const PREFIX = '\0missing:'

const STAND_IN = `const symbols = { [Symbol.iterator]: function* () {}, [Symbol.toPrimitive]: () => '' }
const it = new Proxy(function () {}, {
  get: (_, name) => (typeof name === 'symbol' ? symbols[name] : name === 'then' ? undefined : it),
  apply: () => it,
  construct: () => it,
})`

/**
 * @param root of that tree, with tests in `test`
 * @param log a file, to which each module that was stood in for is added, a line each
 */
export function missingModules(root: string, log: string): Plugin {
  let wanted: ReadonlyMap<string, ReadonlySet<string>> | undefined
  return {
    name: 'missing-modules',
    enforce: 'pre',
    resolveId(source, importer) {
      if (!source.startsWith('.') || importer === undefined) return null
      const path = resolve(dirname(importer), source)
      if (existsSync(path)) return null
      appendFileSync(log, `${relative(root, path)}\n`)
      return `${PREFIX}${path}`
    },
    load(id) {
      if (!id.startsWith(PREFIX)) return null
      wanted ??= importedNames(root)
      const names = [...(wanted.get(id.slice(PREFIX.length)) ?? [])]
      return `${STAND_IN}\nexport default it\n${names.map((name) => `export const ${name} = it`).join('\n')}`
    },
  }
}

/** What tests import of each file. */
function importedNames(root: string): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>()
  for (const file of globSync('test/**/*.ts', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8')
    for (const [, list = '', source = ''] of text.matchAll(/^import \{([^}]{1,2000})\} from '(\.[^']{1,200})'/gm)) {
      const path = resolve(root, dirname(file), source)
      const known = names.get(path) ?? new Set()
      const values = list.split(',').map((each) => each.trim().split(' as ')[0]!)
      for (const name of values) if (/^\w+$/.test(name)) known.add(name)
      names.set(path, known)
    }
  }
  return names
}
