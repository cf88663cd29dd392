/** What `npm ci` installs is what was once looked at: every tarball has its sum. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')

interface Entry {
  readonly resolved?: string
  readonly integrity?: string
  readonly link?: boolean
  /** Bundled in the tarball of the package that contains it. */
  readonly inBundle?: boolean
}

describe.each(['package-lock.json', 'streams/client/generator/package-lock.json'])('%s', (file) => {
  // npm's own format.
  const { packages } = JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as {
    packages: Readonly<Record<string, Entry>>
  }
  const installed = Object.entries(packages).filter(([path]) => path.includes('node_modules/'))

  it('has a checksum for each tarball, all from the registry', () => {
    const fetched = installed.filter(([, { link, inBundle }]) => link !== true && inBundle !== true)

    expect(fetched.length).toBeGreaterThan(0)
    for (const [path, { resolved, integrity }] of fetched) {
      // Absent where npm leaves the registry to the installer (`omit-lockfile-registry-resolved`).
      if (resolved !== undefined) expect(`${path} ${resolved}`).toMatch(/ https:\/\/registry\.npmjs\.org\//)
      expect(`${path} ${integrity}`).toMatch(/ sha512-/)
    }
  })

  it('has no entry without a checksum, except in a bundle with one or in this repository', () => {
    for (const [path, { inBundle, link, resolved, integrity }] of installed) {
      if (integrity !== undefined) continue
      if (link === true) expect(resolved).not.toMatch(/^\w+:/)
      else {
        expect(`${path} ${inBundle}`).toMatch(/ true$/)
        const owner = path.slice(0, path.lastIndexOf('/node_modules/'))
        expect(`${owner} ${packages[owner]?.integrity}`).toMatch(/ sha512-/)
      }
    }
  })
})
