import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, it } from 'vitest'
import { importsOf, outside, undeclared } from '../../helpers/imports-of.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

it('the gateway’s image contains every file and package that it imports', () => {
  const dockerfile = readFileSync(join(ROOT, 'streams/gateway/deploy/Dockerfile'), 'utf8')
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, paths]) =>
    paths!.split(' ').slice(0, -1),
  )
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const { files, packages } = importsOf('streams/gateway/main.ts', 'streams/gateway/screening-worker.ts')

  expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  expect(outside(files, copied)).toEqual([])
  expect(undeclared(packages, dependencies)).toEqual([])
})
