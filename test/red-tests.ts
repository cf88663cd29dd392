/**
 * Whether the tests of `red-tests.txt` fail on the commit before their issue: `npm run red-tests`, or of some items `npm run red-tests -- 13-A2 13-A3`.
 *
 * Today's `test/` is laid over that commit in a temporary worktree. A test that cannot even load there (it imports what was not there) counts as
 * red and is said to be so; one that passes shows no fault, and makes this end with 1.
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '..')
const LIST = join(import.meta.dirname, 'red-tests.txt')

/** The commit before the issues of the list. */
const BEFORE = '28960f6'

interface RedTest {
  readonly item: string
  readonly file: string
  /** Of the tests in it; all when empty. */
  readonly name: string
}

/** What vitest's JSON reporter says of a run. */
interface Report {
  readonly numFailedTests: number
  readonly numPassedTests: number
  readonly numFailedTestSuites: number
}

const wanted = process.argv.slice(2)
const list = readList(readFileSync(LIST, 'utf8')).filter(({ item }) => wanted.length === 0 || wanted.includes(item))
const missing = list.filter(({ file }) => !existsSync(join(ROOT, file)))
if (list.length === 0 || missing.length > 0) {
  for (const { item, file } of missing) console.error(`${item}: ${file} is not there`)
  if (list.length === 0) console.error(`no item of ${LIST} is called ${wanted.join(' or ')}`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'red-tests-'))
const tree = join(folder, 'repository')
try {
  git('worktree', 'add', '--detach', '--quiet', tree, BEFORE)
  prepare()
  const outcomes = list.map((test) => ({ test, outcome: run(test) }))
  for (const { test, outcome } of outcomes) console.log(`${test.item} ${test.file} ${test.name}: ${outcome}`)
  const green = outcomes.filter(({ outcome }) => outcome.startsWith('GREEN'))
  console.log(`${outcomes.length - green.length} of ${outcomes.length} are red on ${BEFORE}`)
  process.exitCode = green.length === 0 ? 0 : 1
} finally {
  git('worktree', 'remove', '--force', tree)
  rmSync(folder, { recursive: true, force: true })
}

export function readList(text: string): readonly RedTest[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [item = '', file = '', ...name] = line.trim().split(/\s+/)
    return { item, file, name: name.join(' ') }
  })
}

/** Today's tests over that commit's code, today's packages, and the data beside it. */
function prepare(): void {
  rmSync(join(tree, 'test'), { recursive: true, force: true })
  cpSync(join(ROOT, 'test'), join(tree, 'test'), { recursive: true })
  cpSync(join(ROOT, 'vitest.config.ts'), join(tree, 'vitest.config.ts'))
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  const data = resolve(ROOT, '../shared')
  if (existsSync(data)) symlinkSync(data, join(folder, 'shared'))
}

function run({ file, name }: RedTest): string {
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const filter = name === '' ? [] : ['-t', name]
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  const options = ['--reporter=json', `--outputFile=${report}`, '--hookTimeout=300000', '--testTimeout=120000']
  spawnSync(process.execPath, [vitest, 'run', file, ...filter, ...options], { cwd: tree, stdio: 'ignore' })
  if (!existsSync(report)) return 'red (the run itself ended)'
  const { numFailedTests, numPassedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, 'utf8')) as Report // its own
  if (numFailedTests > 0) return `red (${numFailedTests} fail, ${numPassedTests} pass)`
  return numFailedTestSuites > 0 ? 'red (cannot load: what it tests was not there)' : `GREEN (${numPassedTests} pass)`
}

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
}
