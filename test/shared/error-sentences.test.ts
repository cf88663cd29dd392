import { describe, expect, test } from 'vitest'
import { ERROR_SENTENCES, sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, ERROR_KINDS, type ErrorCode } from '../../shared/errors.ts'

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[] // the table's own keys

describe('an error in words', () => {
  test.each(CODES)('%s says what is wrong and what to do', (code) => {
    const sentence = sentenceOf(new CodedError(code))

    expect(Object.hasOwn(ERROR_SENTENCES, code)).toBe(true)
    expect(sentence).toMatch(/^[A-Z][^{}[\]]+\.$/)
    expect(sentence.split(/[.;]\s/).length).toBeGreaterThan(1)
  })

  test('names the file, the line and the column', () => {
    const error = new CodedError('sample-invalid', { line: 14, column: 2 })

    expect(sentenceOf(error, 'ecg.csv')).toBe(
      'A sample cannot be read: line 14, column 2. Repair it, or leave it blank if it is missing.',
    )
    expect(sentenceOf(new CodedError('format-unknown', { field: 'file' }), 'README.md')).toBe(
      'README.md is not an ECG file in any of the 13 supported formats (docs/formats.md). If it is one, name its format with --format (API: ?format=).',
    )
  })

  test('fills in nothing that an error does not have', () => {
    expect(sentenceOf(new CodedError('gain-invalid'), 'a.edf')).toBe(
      'a.edf states an invalid gain. Each lead needs a gain above 0.',
    )
  })

  test('of a service that cannot be reached ends a command with 4', () => {
    expect(['unavailable', 'ehr-unavailable'].map((code) => ERROR_KINDS[code as ErrorCode].exitCode)).toEqual([4, 4])
  })
})
