/** Every program of ours that `package.json` starts explains itself. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const { scripts }: { scripts: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(resolve(ROOT, 'package.json'), 'utf8'),
)

/** The program that gets the arguments: the last one of a pipe. */
const ours = Object.entries(scripts).flatMap(([name, script]) => {
  const [, program] = /^(?:exec )?node (.+\.(?:ts|mjs)\b.*)$/.exec(script.split(' | ').at(-1)!) ?? []
  const isOurs = program !== undefined && !program.includes('node_modules') && name !== 'preinstall'
  return isOurs ? [[name, program.split(' ')] as const] : []
})

it('finds the programs', () => {
  expect(ours.length).toBeGreaterThan(20)
})

it.each(ours)(
  'npm run %s -- --help prints a short help and does nothing else',
  { timeout: 60_000 },
  async (_, program) => {
    const running = promisify(execFile)(process.execPath, [...program, '--help'], { cwd: ROOT })
    running.child.stdin?.end()

    const { stdout, stderr } = await running

    expect(stderr).toBe('')
    expect(stdout).toMatch(/^Usage: \S/)
    expect(stdout.length).toBeLessThan(4000)
  },
)
