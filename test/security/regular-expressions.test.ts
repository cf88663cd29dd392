import { describe, expect, it } from 'vitest'
import { expressionsIn, findExpressions, prove, readVerdicts } from './regular-expressions.ts'

/** Slow, and why it can do no harm. */
const ARGUED: Readonly<Record<string, string>> = {
  '/(<!-- cost (\\S+) (\\d+) -->\\n)[\\s\\S]*?(<!-- end -->)/g':
    'reads docs/cost.md, a page of ours, when a developer asks',
  '/(<!-- scale (\\d+) -->\\n)[\\s\\S]*?(<!-- end -->)/g': 'reads docs/cost.md, a page of ours, when a developer asks',
}

/** Files that build one when the program runs: of what, and why that is no one's input. */
const BUILT: Readonly<Record<string, string>> = {
  'cdk/local/aws/iot.ts': 'what a rule of the synthesized template looks for in a field',
  'cdk/local/aws/http-api.ts': 'a route of the synthesized template: its parts end at a slash',
  'functions/cli/evaluate/cohort.ts':
    'sticky, its parts share no character; reads a list of files that an operator writes',
  'streams/formats/wfdb/person.ts': 'one of three words, proven with each of them below; lines of a header are bounded',
}

describe('regular expressions', () => {
  const found = findExpressions()

  it('are all found in the source, as literals and as RegExp calls', () => {
    const inFile = expressionsIn(
      'x.ts',
      'const a: RegExp = /x+$/i, b = "/no/", c = 4 / 2 / 1, d = new RegExp(a.source)',
    )

    expect(inFile.map(({ text }) => text)).toEqual(['/x+$/i', 'new RegExp(a.source)'])
    expect(found.length).toBeGreaterThan(100)
  })

  it('match in linear time, or are listed with a reason', { timeout: 300_000 }, () => {
    const known = readVerdicts()

    const slow = found
      .filter(({ text, isBuilt }) => !isBuilt && ARGUED[text] === undefined)
      .map(({ text, file }) => ({ file, text, verdict: known[text] ?? prove(text) }))
      .filter(({ verdict }) => verdict !== 'linear')

    expect(slow).toEqual([])
  })

  it('are built at run time only in listed places', () => {
    const unknown = found.filter(({ file, isBuilt }) => isBuilt && BUILT[file] === undefined)

    expect(unknown).toEqual([])
  })

  it.each(['age', 'height', 'weight'])('are linear for a WFDB comment with %s', { timeout: 60_000 }, (word) => {
    expect(prove(`/(?:^|\\s)<?${word}>?:?\\s+(\\d{1,3}(?:\\.\\d+)?)(?:\\s|$)/i`)).toBe('linear')
  })

  it('have no unused exception', () => {
    const needed = new Set(found.map(({ text, file, isBuilt }) => (isBuilt ? file : text)))

    expect([...Object.keys(ARGUED), ...Object.keys(BUILT)].filter((each) => !needed.has(each))).toEqual([])
  })

  it.each([
    ['a CSV preamble', '/^#?\\s*(?<name>[a-z ]+?)\\s*(?:\\([^)]*\\))?\\s*:\\s*(?<value>\\S+)/i'],
    ['the lead of a FHIR code', '/\\s+lead$/i'],
  ])('are detected as slow: %s', { timeout: 60_000 }, (_, literal) => {
    expect(prove(literal)).toMatch(/polynomial/)
  })
})
