import { describe, expect, test } from 'vitest'
import { ERROR_SENTENCES, sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, ERROR_KINDS, type ErrorCode } from '../../shared/errors.ts'

const CODES = Object.keys(ERROR_KINDS) as ErrorCode[] // the table's own keys

describe('CodedError', () => {
  test.each(CODES)('says what is wrong and what to do for %s', (code) => {
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

  test('leaves out details that the error does not have', () => {
    expect(sentenceOf(new CodedError('gain-invalid'), 'a.edf')).toBe(
      'a.edf states an invalid gain. Each lead needs a gain above 0.',
    )
  })

  test('offers an option only for an error that names one', () => {
    expect(sentenceOf(new CodedError('field-invalid', { field: 'after' }))).toBe(
      'A field is missing or invalid: after. Correct it.',
    )
    expect(sentenceOf(new CodedError('field-invalid', { field: 'rate', option: '--rate' }), 'ecg.csv')).toBe(
      'A field is missing or invalid: rate. Correct it, or state the value with --rate.',
    )
  })

  test('has exit code 4 when a service cannot be reached', () => {
    expect(['unavailable', 'ehr-unavailable'].map((code) => ERROR_KINDS[code as ErrorCode].exitCode)).toEqual([4, 4])
  })
})
