/**
 * `npm run lint:prose`: plain words in Markdown, in comments and in names of tests. The patterns are those of CONVENTIONS ("Plain words").
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command } from 'commander'

/** Made by a program from descriptions of the API, one line each; and the patterns themselves. */
const EXEMPT = [':!streams/client/schema.ts', ':!test/house/prose.ts']

const MAX_LINE = 160
const MAX_WORDS = 35

/** What a native reader stumbles on, and what to write instead. */
const PATTERNS: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/\blonger than is well\b/i, '"longer than the limit"'],
  [/\b(?:is|are|be) no chance\b/i, '"is not coincidence"'],
  [/\bthat there (?:is|are) not\b/i, '"unknown", "out of range"'],
  [/\bwhere there (?:is|are) (?:one|none|any)\b/i, '"if present"'],
  [/\bnobody[’']s\b/i, '"belongs to no known …"'],
  [/\bnobody (?:looks|waits|asks|vouches|comes|can|tells)\b/i, 'name the role, or use the passive'],
  [/\bwithout a word\b/i, '"disappeared"'],
  [/\bwhat was run once\b/i, '"results are cached"'],
  [/\bwants? (?:a|an|to be|the)\b/i, '"needs"'],
  [/\b(?:is|are|was|were|be) told\b/i, '"is conditioned on", "is notified", "gets"'],
  [/\b(?:people )?by whom\b/i, 'name the role'],
  [/\b(?:is|are) lent\b/i, '"is given"'],
  [/\bhangs? on its\b/i, '"depends on"'],
  [/\bletter for letter\b/i, '"verbatim", "byte for byte"'],
  [/\breckon(?:s|ed|ing)?\b/i, '"estimate", "calculate"'],
  [/\bwho(?:ever|soever)\b/i, '"the caller", or the role'],
  [/\b(?:that which|what one|the one which)\b/i, 'the noun'],
  [/\bmend(?:s|ed|ing)?\b/i, '"fix", "correct"'],
  [/\b(?:go|goes|going|gone|went) well\b/i, '"succeed"'],
  [/\b(?:tr(?:y|ies|ied) again|tries go on)\b/i, '"retry"'],
  [/\bfor want of\b/i, '"because there is no"'],
  [/\bma(?:ke|kes|de) up for\b/i, '"compensate", "catch up"'],
  [/\bby way of\b/i, '"through"'],
  [/\b(?:is|was|are|were|be) away\b/i, '"is unavailable"'],
  [/\b(?:begin|begins|begun|began|start|starts) anew\b/i, '"restart"'],
  [/\bquarter of an hour\b/i, '"15 minutes"'],
  [/[,;] else\b/i, '"otherwise"'],
  [/\b(?:is|are|was|were) to be\b/i, '"must be"'],
  [/\bstands? (?:in|beside|behind|between)\b/i, '"is in", "depends on"'],
  [/\b(?:says?|said|refused|told) in words\b/i, '"explained", "with a sentence"'],
  [/\brather not at all\b/i, '"refuses to"'],
  [/\bfor ever\b/i, '"indefinitely"'],
  [/\bso (?:much|many) of what\b/i, 'the noun'],
  [/\b(?:thereof|therein|wherein|whereof|hereby|hitherto|heretofore)\b/i, 'a plain word'],
  [/\ba [a-z]+ an? (?!second|minute|hour|day|week|month|year|time|node)(?:[a-z]+)\b/, '"one … per …"'],
]

/** Those of the patterns that hold for comments, names of tests and sentences in programs, too. */
const IN_PROGRAMS = PATTERNS.filter(([, instead]) => /the caller|byte for byte|estimate/.test(instead))

/** A sentence may begin so only as a question: the field's noun is plainer than a clause. */
const CLAUSE_AS_SUBJECT = /^(?:What|Who|Whose|Whom) [^?]+[.;:]$/

/** The name of a test: the first argument of `it` or `test`, or of a table's last line. */
const TITLE = /(?:\b(?:it|test)(?:\.\w+(?:\([^()]*\))?)*|^\s*\](?: as const)?\))\((['`])(.+?)\1/

/** A name that begins so is the end of a sentence: begin with a verb. */
const FRAGMENT = /^(?:that|of|and|nor|whose|which|but|as)\b/

export interface Finding {
  readonly line: number
  readonly message: string
}

interface Block {
  readonly line: number
  readonly text: string
  readonly isProse: boolean
}

/** What is wrong with a page. */
export function proseFindings(markdown: string): Finding[] {
  const lines = markdown.split('\n')
  const long = lines.flatMap((text, i) => {
    const isOver = text.length > MAX_LINE && !/^\S*https?:\S+$/.test(text.trim())
    return isOver ? [{ line: i + 1, message: `a line of ${text.length} characters (at most ${MAX_LINE})` }] : []
  })
  return [...long, ...blocksOf(lines).flatMap(blockFindings)].sort((a, b) => a.line - b.line)
}

/** Long comment lines of a program (the formatter leaves them alone), and words that are not plain. */
export function commentFindings(source: string): Finding[] {
  return source.split('\n').flatMap((text, i) => {
    const isComment = /^\s*(?:\/\/|\/?\*)/.test(text)
    const isLong = isComment && text.length > MAX_LINE && !text.includes('://')
    const words = IN_PROGRAMS.flatMap(([pattern, instead]) => {
      const [match] = pattern.exec(text) ?? []
      return match === undefined ? [] : [`"${match}": write ${instead}`]
    })
    const messages = [
      ...(isLong ? [`a comment line of ${text.length} characters (at most ${MAX_LINE})`] : []),
      ...words,
    ]
    return messages.map((message) => ({ line: i + 1, message }))
  })
}

/** Names of tests that are not plain, in a test file. */
export function titleFindings(source: string): Finding[] {
  return source.split('\n').flatMap((text, i) => {
    const title = TITLE.exec(text)?.[2] ?? ''
    const messages = PATTERNS.flatMap(([pattern, instead]) => {
      const [match] = pattern.exec(title) ?? []
      return match === undefined ? [] : [`"${match}": write ${instead}`]
    })
    if (FRAGMENT.test(title)) messages.push(`"${title}": begin with a verb`)
    return messages.map((message) => ({ line: i + 1, message }))
  })
}

function blockFindings({ line, text, isProse }: Block): Finding[] {
  const plain = withoutMarkup(text)
  const found = PATTERNS.flatMap(([pattern, instead]) => {
    const [match] = pattern.exec(plain) ?? []
    return match === undefined ? [] : [{ line, message: `"${match}": write ${instead}` }]
  })
  for (const sentence of plain.split(/(?<=[.!?:;])\s+(?=[A-Z0-9`*"“(])/)) {
    const words = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length
    const start = sentence.split(/\s+/).slice(0, 5).join(' ')
    if (words > MAX_WORDS)
      found.push({ line, message: `a sentence of ${words} words (at most ${MAX_WORDS}): "${start} …"` })
    if (isProse && CLAUSE_AS_SUBJECT.test(sentence)) found.push({ line, message: `"${start} …": begin with a noun` })
  }
  return found
}

/** Paragraphs, list items, table cells and headings; no code, no diagrams. */
function blocksOf(lines: readonly string[]): Block[] {
  const blocks: Block[] = []
  let open: { line: number; parts: string[]; isProse: boolean } | undefined
  let fence: string | undefined
  const close = () => {
    if (open !== undefined) blocks.push({ line: open.line, text: open.parts.join(' '), isProse: open.isProse })
    open = undefined
  }
  lines.forEach((raw, i) => {
    const text = raw.replace(/^\s*>\s?/, '').trim()
    const [mark] = /^(?:```+|~~~+)/.exec(text) ?? []
    if (mark !== undefined || fence !== undefined) {
      if (fence === undefined) fence = mark
      else if (mark?.startsWith(fence)) fence = undefined
      close()
    } else if (text.startsWith('|')) {
      close()
      for (const cell of text.split(/(?<!\\)\|/)) blocks.push({ line: i + 1, text: cell.trim(), isProse: false })
    } else if (text === '' || /^(?:#|<|---)/.test(text)) {
      close()
      if (text.startsWith('#')) blocks.push({ line: i + 1, text, isProse: false })
    } else {
      const item = /^(?:[-*+]|\d+\.)\s+(.*)$/.exec(text)
      if (item !== null) close()
      open ??= { line: i + 1, parts: [], isProse: true }
      open.parts.push(item?.[1] ?? text)
    }
  })
  close()
  return blocks
}

/** Code becomes one word, a link its text. */
function withoutMarkup(text: string): string {
  return text
    .replace(/`[^`]+`/g, 'CODE')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/https?:\/\/\S+/g, 'URL')
    .replace(/\$[^$]+\$/g, 'FORMULA')
    .replace(/\*\*|__|(?<!\w)[*_]|[*_](?!\w)/g, '')
    .replace(/<[^>]+>/g, ' ')
}

if (process.argv[1] === import.meta.filename) {
  const root = resolve(import.meta.dirname, '../..')
  const tracked = (...globs: string[]) =>
    execFileSync('git', ['ls-files', '--', ...globs, ...EXEMPT], { cwd: root, encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
  const { args: chosen } = new Command('npm run lint:prose --')
    .description('Finds words and sentences that are not plain in Markdown, comments and names of tests.')
    .argument('[file...]', 'Markdown files (default: all tracked files)')
    .parse()
  const findings = [
    ...(chosen.length > 0 ? chosen : tracked('*.md')).map((file) => [file, proseFindings] as const),
    ...(chosen.length > 0 ? [] : tracked('*.ts', '*.tsx')).map((file) => [file, commentFindings] as const),
    ...(chosen.length > 0 ? [] : tracked('test/*.ts')).map((file) => [file, titleFindings] as const),
  ].flatMap(([file, check]) =>
    check(readFileSync(resolve(root, file), 'utf8')).map(({ line, message }) => `${file}:${line}: ${message}`),
  )
  for (const finding of findings) console.log(finding)
  if (findings.length > 0) console.log(`${findings.length} to rewrite (CONTRIBUTING.md, "Plain words")`)
  process.exitCode = findings.length > 0 ? 1 : 0
}
