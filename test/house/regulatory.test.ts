/** The regulatory file names tests and risks that exist. */
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRequirements, traceMatrix } from '../trace.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const page = (name: string) => readFileSync(join(ROOT, 'docs/regulatory', name), 'utf8')
const requirements = readRequirements()

describe('the trace matrix', () => {
  it.each(requirements)('names existing tests for $id', ({ tests }) => {
    for (const [file, begin] of tests) {
      const titles = [...readFileSync(join(ROOT, file), 'utf8').matchAll(/(?:\(|\[| )(['`])([^'`\n]{5,})\1/g)].map(
        ([, , title = '']) => title,
      )

      expect(titles.some((title) => begin.startsWith(title) || title.startsWith(begin)) ? begin : file).toBe(begin)
    }
  })

  it('covers each requirement and each risk on both pages', () => {
    const ids = (text: string, of: RegExp) => [...new Set(text.match(of))].sort()

    expect(ids(page('trace.md'), /\bR\d\d\b/g)).toEqual(requirements.map(({ id }) => id))
    expect(ids(page('risks.md'), /\bR\d\d\b/g)).toEqual(requirements.map(({ id }) => id))
    expect(ids(page('risks.md'), /\bH\d\b/g)).toEqual([...new Set(requirements.flatMap(({ risks }) => risks))].sort())
  })

  it('reports failed tests and tests that were not run', () => {
    const tests = [['test/a.test.ts', 'a door']] as const
    const assertionResults = ['passed', 'failed'].map((status) => ({ fullName: 'a door opens', status }))
    const results = { startTime: 0, testResults: [{ name: '/x/test/a.test.ts', assertionResults }] }

    const ran = traceMatrix([{ id: 'R01', text: 'Opens.', risks: ['H1'], tests }], results)
    const silent = traceMatrix([{ id: 'R01', text: 'Opens.', risks: ['H1'], tests }], { startTime: 0, testResults: [] })

    expect(ran).toContain(': 1 passed, **1 failed**')
    expect(silent).toContain(': **not run**')
  })
})
