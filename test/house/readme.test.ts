/** The README's screening commands run from a clone, on the samples in the repository. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const COMMANDS = [...README.matchAll(/^npm run -s cli -- (screen [^\n#]+)$/gm)].map(([, command]) => command!.trim())

describe('the README', () => {
  it('begins with commands that need only the clone', () => {
    expect(COMMANDS.length).toBeGreaterThan(0)
    expect(COMMANDS.filter((command) => command.includes('../'))).toEqual([])
  })

  it.each(COMMANDS)('`%s` prints a screening', { timeout: 120_000 }, (command) => {
    const { stdout } = spawnSync(`"${process.execPath}" functions/cli/main.ts ${command}`, {
      cwd: ROOT,
      encoding: 'utf8',
      shell: true,
      maxBuffer: 1e8,
    })

    expect(stdout).toContain('Investigational. Not a medical device')
  })

  it('links to files that exist', () => {
    const links = [...README.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!)

    expect(links.filter((link) => !link.startsWith('http') && !existsSync(join(ROOT, link)))).toEqual([])
  })
})
