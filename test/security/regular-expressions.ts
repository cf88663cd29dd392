/**
 * Every regular expression of the source, and whether it matches in linear time, as `recheck` proves it.
 *
 * A proof takes a second or more of CPU, so verdicts are kept in `regular-expressions.json`; a test takes a verdict from there and proves only
 * what is new. `npm run -s regular-expressions` proves all of them anew and writes the file.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { checkSync } from 'recheck'
import { parseSync } from 'vite'

const ROOT = join(import.meta.dirname, '../..')
const VERDICTS = join(import.meta.dirname, 'regular-expressions.json')

/** Folders whose code processes external input. Their tests and the Python package read only our own files. */
const ROOMS = ['shared', 'streams', 'functions', 'cdk', 'console']

/** Time limit of `recheck` for one expression, ms. */
const PROOF_MS = 60_000

export interface FoundExpression {
  /** As the source has it: `/\s+$/i`; of a `new RegExp(…)` the call. */
  readonly text: string
  readonly file: string
  readonly isBuilt: boolean
}

/** The regular expressions of every TypeScript file that git knows, each once a file. */
export function findExpressions(): readonly FoundExpression[] {
  const names = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...ROOMS], { cwd: ROOT })
  const files = names.toString().split('\n')
  return files
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .flatMap((file) => expressionsIn(file, readFileSync(join(ROOT, file), 'utf8')))
}

/** @param file tells TypeScript from TSX by its name */
export function expressionsIn(file: string, source: string): readonly FoundExpression[] {
  const found = new Map<string, FoundExpression>()
  const add = (text: string, isBuilt: boolean) => found.set(text, { text, file, isBuilt })
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    const { type, regex, callee, start, end } = node as Readonly<Record<string, unknown>> // as: any object has entries
    if (type === 'Literal' && isPattern(regex)) add(`/${regex.pattern}/${regex.flags}`, false)
    else if ((type === 'NewExpression' || type === 'CallExpression') && isRegExp(callee))
      add(source.slice(Number(start), Number(end)), true)
    else for (const child of Object.values(node)) visit(child)
  }
  visit(parseSync(file, source).program)
  return [...found.values()]
}

const isPattern = (value: unknown): value is { pattern: string; flags: string } =>
  typeof value === 'object' && value !== null && 'pattern' in value

const isRegExp = (callee: unknown) =>
  typeof callee === 'object' && callee !== null && 'name' in callee && callee.name === 'RegExp'

/** `linear`, or what makes it slow: `2nd degree polynomial`, `exponential`, `timeout`. */
export function prove(literal: string): string {
  const end = literal.lastIndexOf('/')
  const proof = checkSync(literal.slice(1, end), literal.slice(end + 1), { timeout: PROOF_MS })
  if (proof.status === 'unknown') return proof.error.kind
  return proof.status === 'safe' ? 'linear' : proof.complexity.summary
}

/** Verdicts that were proven before, by the expression. */
export const readVerdicts = (): Readonly<Record<string, string>> => JSON.parse(readFileSync(VERDICTS, 'utf8'))

if (import.meta.main) {
  const options = new Command('npm run regular-expressions --')
    .description(
      'Proves that every regular expression of the source is linear, and writes test/security/regular-expressions.json.',
    )
    .option('--new', 'prove only those without a verdict')
    .parse()
    .opts<{ new?: true }>()
  const known = options.new ? readVerdicts() : {}
  const literals = [...new Set(findExpressions().flatMap(({ text, isBuilt }) => (isBuilt ? [] : [text])))].toSorted()
  const verdicts = literals.map((literal) => [literal, known[literal] ?? prove(literal)] as const)
  writeFileSync(VERDICTS, `${JSON.stringify(Object.fromEntries(verdicts), null, 2)}\n`)
  for (const [literal, verdict] of verdicts) if (verdict !== 'linear') console.log(`${verdict}: ${literal}`)
}
