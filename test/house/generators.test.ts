/** What the generators of `streams/client/generator` write: the types of the client, and the API reference of `shared`. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../helpers/temporary-folder.ts'

const CLIENT = resolve(import.meta.dirname, '../../streams/client')
const GENERATOR = join(CLIENT, 'generator')
const isInstalled = existsSync(join(GENERATOR, 'node_modules'))
const REASON = isInstalled ? '' : ' (skipped: npm ci --prefix streams/client/generator --ignore-scripts)'

describe.skipIf(!isInstalled)(`the generators${REASON}`, { timeout: 240_000 }, () => {
  it('make the committed types of the client from its OpenAPI document', () => {
    const folder = temporaryFolder()
    const input = readFileSync(join(CLIENT, 'openapi.json'))

    const { status, stderr } = spawnSync(process.execPath, [join(GENERATOR, 'generate.mjs'), folder], { input })

    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' })
    for (const file of ['openapi.json', 'schema.ts']) {
      expect(readFileSync(join(folder, file), 'utf8')).toBe(readFileSync(join(CLIENT, file), 'utf8'))
    }
  })

  it('document shared/ without a warning', async () => {
    const typedoc = join(GENERATOR, 'node_modules/typedoc/bin/typedoc')
    const args = [typedoc, '--options', join(GENERATOR, 'typedoc.json'), '--emit', 'none']

    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: resolve(CLIENT, '../..') })

    expect(`${stdout}${stderr}`).not.toMatch(/warning|error/i)
  })
})
