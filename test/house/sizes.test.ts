/** A file that fits in one's head: at most 400 lines of TypeScript outside `test`. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const FOLDERS = ['cdk', 'console', 'functions', 'shared', 'streams']
const MAX_LINES = 400

/** Written by a program (`streams/client/generator`). */
const GENERATED = ['streams/client/schema.ts']

it('no TypeScript file outside test/ has more than 400 lines', () => {
  const files = FOLDERS.flatMap(filesOf).filter((file) => !GENERATED.includes(file))

  const long = files.map((file) => [file, linesOf(file)] as const).filter(([, lines]) => lines > MAX_LINES)

  expect(files.length).toBeGreaterThan(400)
  expect(long).toEqual([])
})

function filesOf(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter(({ name, parentPath }) => /\.tsx?$/.test(name) && !/node_modules|dist/.test(relative(ROOT, parentPath)))
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => relative(ROOT, join(parentPath, name)))
}

const linesOf = (file: string) => readFileSync(join(ROOT, file), 'utf8').trimEnd().split('\n').length
