import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCohort } from '../../../../functions/cli/evaluate/cohort.ts'
import { codedError } from '../../../helpers/errors.ts'

describe('parseCohort', () => {
  it('reads labels, persons, sex and age, with empty cells as unknown', () => {
    const text = 'file,person,sex,age,cad,hf\na.hea,p1,F,61,1,\nb/c.xml,p1,male,,0,1\nd.csv,,,,,0\n'

    const { rows, people, conditions } = parseCohort(text, '/data')

    expect(rows).toEqual([
      { file: '/data/a.hea', person: 0, labels: { cad: true }, about: { sex: 'female', ageYears: 61 } },
      { file: '/data/b/c.xml', person: 0, labels: { cad: false, hf: true }, about: { sex: 'male' } },
      { file: '/data/d.csv', person: 1, labels: { hf: false }, about: {} },
    ])
    expect(people).toBe(2)
    expect(conditions).toEqual(['cad', 'hf'])
  })

  it.each([
    ['comma', '\uFEFFfile,cad\r\n"a, ""b"".hea",1\r\n', 'a, "b".hea'],
    ['semicolon', 'file;cad;note\na.hea;1;"two\nlines"\n\n', 'a.hea'],
    ['tab', 'file\tcad\na b.hea\t1', 'a b.hea'],
  ])('accepts %s as the delimiter, with a byte order mark, quotes or blank lines', (_, text, file) => {
    const { rows } = parseCohort(text, '/data')

    expect(rows.map((row) => [row.file, row.labels])).toEqual([[join('/data', file), { cad: true }]])
  })

  it('names the columns that it does not use', () => {
    expect(parseCohort('file,cad,chf\na.hea,1,0\n', '/').ignored).toEqual(['chf'])
  })

  it.each([
    ['file,cad\na.hea,2\n', 'field-invalid', { line: 2, column: 'cad' }],
    ['file,cad\na.hea,1\nb.hea,yes\n', 'field-invalid', { line: 3, column: 'cad' }],
    ['file,cad,sex\na.hea,1,x\n', 'field-invalid', { line: 2, column: 'sex' }],
    ['file,cad,age\na.hea,1,300\n', 'field-invalid', { line: 2, column: 'age' }],
    ['file,cad\na.hea,1\n./a.hea,1\n', 'field-invalid', { line: 3, column: 'file' }],
    ['file,cad,cad\na.hea,1,0\n', 'field-invalid', { line: 1, column: 'cad' }],
    ['name,cad\na.hea,1\n', 'field-invalid', { line: 1, column: 'file' }],
    ['file,chf\na.hea,1\n', 'field-invalid', { line: 1 }],
    ['file,cad\na.hea\n', 'payload-malformed', { line: 2 }],
    ['file,cad\n"a.hea,1\n', 'payload-malformed', { line: 2 }],
    ['file,cad\n', 'payload-empty', {}],
    ['', 'payload-empty', {}],
  ])('refuses %j', (text, code, detail) => {
    const error = codedError(() => parseCohort(text, '/'))

    expect(error.code).toBe(code)
    expect(error.detail).toMatchObject(detail)
  })
})
