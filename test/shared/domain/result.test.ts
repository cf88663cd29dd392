import { expect, test } from 'vitest'
import { parseResult } from '../../../shared/domain/result.ts'
import { WARNING_CODES, warningText } from '../../../shared/domain/warnings.ts'
import { makeResult } from '../../helpers/results.ts'

test('a result stored before versions reads as version 1, without warnings or borderline findings', () => {
  const { version: _, warnings: __, findings, ...rest } = makeResult()
  const old = { ...rest, findings: findings.map(({ borderline: ___, ...finding }) => finding) }

  const result = parseResult(JSON.stringify(old))

  expect(result).toEqual(makeResult())
})

test('every warning reads as one sentence, with and without its details', () => {
  for (const code of WARNING_CODES) {
    expect(warningText({ code, which: 'RA-LA', leads: ['I', 'II'], field: 'leads[0]' })).not.toMatch(/[{}]/)
    expect(warningText({ code })).toMatch(/^[A-Z][^{}]*\.$/)
    expect(warningText({ code })).not.toMatch(/[ :]\./)
  }
})
