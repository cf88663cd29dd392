/** The API reference of `shared` builds, and no link in its comments is broken. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const GENERATOR = join(ROOT, 'streams/client/generator')
const TYPEDOC = join(GENERATOR, 'node_modules/typedoc/bin/typedoc')
const isInstalled = existsSync(TYPEDOC)
const REASON = isInstalled ? '' : ' (skipped: no typedoc; npm ci --prefix streams/client/generator --ignore-scripts)'

it.skipIf(!isInstalled)(`typedoc documents shared/ without a warning${REASON}`, { timeout: 240_000 }, async () => {
  const args = [TYPEDOC, '--options', join(GENERATOR, 'typedoc.json'), '--emit', 'none']

  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT })

  expect(`${stdout}${stderr}`).not.toMatch(/warning|error/i)
})
