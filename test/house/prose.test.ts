/** The rules for names of tests; those for Markdown and comments are `npm run lint:prose` itself. */
import { describe, expect, it } from 'vitest'
import { titleFindings } from './prose.ts'

/** Built, so that the rules do not find these lines themselves. */
const named = (title: string) => `  ${'it'}('${title}', () => {`
const inTable = (title: string) => `  ]${')'}('${title}', (_, code) => {`

describe('titleFindings', () => {
  it.each(['keeps frames after a restart', 'is refused without a token', 'has no other route'])(
    'accepts "%s"',
    (title) => {
      expect([...titleFindings(named(title)), ...titleFindings(inTable(title))]).toEqual([])
    },
  )

  it.each([
    ['of a lost worker is taken over', 'begin with a verb'],
    ['that was deleted is not written', 'begin with a verb'],
    [`is never ${'to'} be seen when it ${'is'} away`, '"is unavailable"'],
  ])('refuses "%s"', (title, message) => {
    for (const line of [named(title), inTable(title)]) {
      expect(titleFindings(`\n${line}`)).toContainEqual({ line: 2, message: expect.stringContaining(message) })
    }
  })
})
