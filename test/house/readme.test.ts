/** The README's screening commands run from a clone, on the samples in the repository. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const COMMANDS = [...README.matchAll(/^npm run -s cli -- (screen [^\n#]+)$/gm)].map(([, command]) => command!.trim())

const PRINTED = README.match(/^```text\n(test\/fixtures\/samples\/[\s\S]*?)\n```$/m)?.[1] ?? ''

const screened = (command: string) =>
  spawnSync(`"${process.execPath}" functions/cli/main.ts ${command}`, {
    cwd: ROOT,
    encoding: 'utf8',
    shell: true,
    maxBuffer: 1e8,
  }).stdout

const NUMBER = /-?\d+(?:\.\d+)?/g
const words = (text: string) => text.trim().replace(NUMBER, 'n').replace(/ +/g, ' ')
const numbers = (text: string) => [...text.matchAll(NUMBER)].map(([number]) => Number(number))

describe('the README', () => {
  it('begins with commands that need only the clone', () => {
    expect(COMMANDS.length).toBeGreaterThan(0)
    expect(COMMANDS.filter((command) => command.includes('../'))).toEqual([])
  })

  it.each(COMMANDS)('`%s` prints a screening', { timeout: 120_000 }, (command) => {
    expect(screened(command)).toContain('Investigational. Not a medical device')
  })

  // Processors differ in a float's last digits, so a printed number may differ in its last one.
  it('shows what the first command prints', { timeout: 120_000 }, () => {
    const printed = screened(COMMANDS[0]!)

    expect(words(PRINTED)).toBe(words(printed))
    const shown = numbers(PRINTED)
    for (const [place, number] of numbers(printed).entries())
      expect(Math.abs(shown[place]! - number)).toBeLessThan(0.15)
  })

  it('links to files that exist', () => {
    const links = [...README.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link]) => link!)

    expect(links.filter((link) => !link.startsWith('http') && !existsSync(join(ROOT, link)))).toEqual([])
  })
})
