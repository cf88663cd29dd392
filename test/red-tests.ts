/**
 * Whether the tests of `red-tests.txt` fail on the commit before their issue: `npm run red-tests`, or of some items `npm run red-tests -- 13-A2 13-A3`.
 *
 * Today's `test/` is laid over that commit in a temporary worktree. A file that was moved since is a link there, from its path of today to its path
 * of then, and a module that did not exist is stood in for (`helpers/missing-modules.ts`), so that tests load on the old layout and fail at what they
 * test. A test that can only pass or load with a stand-in is of something that was not there: that counts as red, and the line names what is missing.
 * A test that passes without one shows no fault, and makes this end with 1.
 * @module
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { Command } from 'commander'

const ROOT = resolve(import.meta.dirname, '..')
const LIST = join(import.meta.dirname, 'red-tests.txt')

/** The commit before the issues of the list. */
const BEFORE = '28960f6'

/** What issue 13 numbers: each item has a line in the list. */
const ITEMS: readonly string[] = [
  ...['A1', 'A2', 'A3', 'A4', 'A5', 'A6', 'A7', 'A8'],
  ...['B9', 'B10', 'B11', 'B12', 'B13', 'B14', 'B15'],
  ...['C16', 'C17', 'C18', 'C19', 'C20', 'C21', 'C22', 'C23'],
  ...['D24', 'D25', 'D26', 'D27'],
].map((item) => `13-${item}`)

/** Moves that git does not detect, because the files changed too much. */
const MOVED_TOO = [
  ['cdk/local/emulators.ts', 'cdk/local/http.ts'],
  ['cdk/local/broker.ts', 'cdk/local/aws/broker.ts'],
] as const

/** A file that takes longer hangs: on that commit a regular expression can take hours. */
const FILE_LIMIT_MS = 300_000

/** Where the test folder of that commit goes; as deep as `test`, so that its imports still hold. */
const OLD_TESTS = 'before'

interface RedTest {
  readonly item: string
  readonly file: string
  /** A pattern for its test names, as for `vitest -t`; empty for all. */
  readonly name: string
}

/** The report of vitest's JSON reporter. */
interface Report {
  readonly testResults: readonly {
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages: readonly string[]
    }[]
  }[]
}

const { args: wanted } = new Command('npm run red-tests --')
  .description('Checks that the tests of test/red-tests.txt fail on the commit before their issue.')
  .argument('[item...]', 'items of the list, e.g. 13-A2 (default: all)')
  .parse()
const all = readList(readFileSync(LIST, 'utf8'))
const list = all.filter(({ item }) => wanted.length === 0 || wanted.includes(item))
const faults = [
  ...all.filter(({ file }) => !existsSync(join(ROOT, file))).map(({ item, file }) => `${item}: ${file} does not exist`),
  ...ITEMS.filter((wantedItem) => all.every(({ item }) => item !== wantedItem)).map((item) => `${item}: no test`),
  ...wanted.filter((each) => all.every(({ item }) => item !== each)).map((item) => `${item}: no such item in ${LIST}`),
]
for (const fault of faults) console.error(fault)
if (list.length === 0) process.exit(2)

const folder = mkdtempSync(join(tmpdir(), 'red-tests-'))
const tree = join(folder, 'repository')
const missingLog = join(folder, 'missing.log')
let green = 0
try {
  git('worktree', 'add', '--detach', '--quiet', tree, BEFORE)
  prepare()
  for (const [file, tests] of Map.groupBy(list, ({ file }) => file)) {
    const report = await run(file, tests)
    for (const { item, name } of tests) {
      const outcome = outcomeOf(report, name)
      if (outcome.startsWith('GREEN')) green++
      console.log(`${item} ${file} ${name}: ${outcome}`)
    }
  }
  console.log(`${list.length - green} of ${list.length} are red on ${BEFORE}`)
  process.exitCode = green === 0 ? 0 : 1
} finally {
  git('worktree', 'remove', '--force', tree)
  rmSync(folder, { recursive: true, force: true })
}

function readList(text: string): readonly RedTest[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [item = '', file = '', ...name] = line.trim().split(/\s+/)
    return { item, file, name: name.join(' ') }
  })
}

/** Today's tests over that commit's code, with today's packages and the data folder. */
function prepare(): void {
  renameSync(join(tree, 'test'), join(tree, OLD_TESTS))
  cpSync(join(ROOT, 'test'), join(tree, 'test'), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  const data = resolve(ROOT, '../shared')
  if (existsSync(data)) symlinkSync(data, join(folder, 'shared'))
  writeFileSync(join(tree, 'vitest.config.ts'), config())
  for (const [from, to] of [...moves(), ...MOVED_TOO]) {
    if (to.startsWith('test/')) continue
    const at = from.replace(/^test\//, `${OLD_TESTS}/`)
    link(at, to)
    // A helper that belongs to the product today: that commit starts it from where it was.
    if (at !== from) link(at, from)
  }
}

/** One project for all, with stand-ins; which test needs what does not matter here. */
function config(): string {
  return [
    `import { missingModules } from './test/helpers/missing-modules.ts'`,
    `export default {`,
    `  plugins: [missingModules(import.meta.dirname, ${JSON.stringify(missingLog)})],`,
    `  test: { include: ['test/**/*.test.ts'], setupFiles: ['test/helpers/logs.ts'] },`,
    `}`,
    '',
  ].join('\n')
}

/** Files that have another path today, as git finds them. */
function moves(): readonly (readonly [from: string, to: string])[] {
  const args = ['diff', '--find-renames=40%', '--diff-filter=R', '--name-status', '-l0', BEFORE, 'HEAD']
  const lines = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim().split('\n')
  return lines.map((line) => {
    const [, from = '', to = ''] = line.split('\t')
    return [from, to]
  })
}

function link(from: string, to: string): void {
  const path = join(tree, to)
  if (existsSync(path)) return
  mkdirSync(dirname(path), { recursive: true })
  symlinkSync(relative(dirname(path), join(tree, from)), path)
}

/** The report of a file's tests; undefined where the run ended by itself or had to be ended. */
async function run(file: string, tests: readonly RedTest[]): Promise<Report | undefined> {
  const names = tests.map(({ name }) => name)
  const filter = names.includes('') ? [] : ['-t', names.map((name) => `(${name})`).join('|')]
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  writeFileSync(missingLog, '')
  const options = ['--reporter=json', `--outputFile=${report}`, '--hookTimeout=120000', '--testTimeout=60000']
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const child = spawn(process.execPath, [vitest, 'run', file, ...filter, ...options], {
    cwd: tree,
    stdio: 'ignore',
    detached: true,
  })
  // With its workers, because one of them can be in a loop that ignores a signal to its parent.
  const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), FILE_LIMIT_MS)
  await once(child, 'exit')
  clearTimeout(timer)
  return existsSync(report) ? (JSON.parse(readFileSync(report, 'utf8')) as Report) : undefined // vitest's own
}

function outcomeOf(report: Report | undefined, name: string): string {
  if (report === undefined) return 'red (the run ended without a report, or took too long)'
  const results = report.testResults.flatMap(({ assertionResults }) => assertionResults)
  const ours = results.filter(({ fullName, status }) => new RegExp(name).test(fullName) && status !== 'skipped')
  const failed = ours.filter(({ status }) => status === 'failed')
  const passed = ours.length - failed.length
  if (failed.length > 0) {
    return `red (${failed.length} fail, ${passed} pass): ${firstLine(failed[0]!.failureMessages[0] ?? '')}`
  }
  const missing = [...new Set(readFileSync(missingLog, 'utf8').trim().split('\n'))].filter((each) => each !== '')
  const message = report.testResults.map((each) => each.message).find((each) => each !== '')
  if (message !== undefined) return `red (cannot load: ${firstLine(message)})`
  if (missing.length > 0 && ours.length > 0) return `red (of what was not there: ${missing.join(', ')})`
  return ours.length === 0 ? 'GREEN (no test has this name)' : `GREEN (${passed} pass)`
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!.replaceAll(`${tree}/`, '').slice(0, 160)
}

function git(...args: string[]): void {
  execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
}
