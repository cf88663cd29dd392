/** A new bundle replaces the one that is shipped, so that the repository stays small. */
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const BUNDLE = 'models/cardiacnets-compact'
const MAX_BYTES = 50e6

const tracked = execFileSync('git', ['ls-files', '-z', 'models'], { cwd: ROOT, encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '')

interface Manifest {
  readonly files: readonly { readonly path: string }[]
  readonly training: Readonly<Record<string, unknown>>
}

const manifest: Manifest = JSON.parse(readFileSync(join(ROOT, BUNDLE, 'manifest.json'), 'utf8'))

describe('the tracked models', () => {
  it('are a single bundle', () => {
    expect(tracked.filter((path) => path.endsWith('manifest.json'))).toEqual([`${BUNDLE}/manifest.json`])
  })

  it('contain only networks that the manifest names', () => {
    const named = manifest.files.map(({ path }) => `${BUNDLE}/${path}`)

    expect(
      tracked.filter((path) => path.startsWith(BUNDLE) && path.endsWith('.onnx') && !named.includes(path)),
    ).toEqual([])
  })

  it('take at most 50 MB', () => {
    const bytes = tracked.reduce((sum, path) => sum + statSync(join(ROOT, path)).size, 0)

    expect(bytes).toBeLessThanOrEqual(MAX_BYTES)
  })

  it('state the provenance of the weights: data with licences, seeds, commit, date and former bundle', () => {
    expect(manifest.training).toMatchObject({
      data: expect.arrayContaining([
        expect.objectContaining({ name: expect.any(String), licence: expect.any(String) }),
      ]),
      seeds: expect.any(Array),
      commit: expect.stringMatching(/^[0-9a-f]{40}$/),
      date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      from: expect.any(String),
    })
  })
})
