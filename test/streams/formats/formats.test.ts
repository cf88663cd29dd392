import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAX_FILE_BYTES } from '../../../streams/formats/format.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeWfdb } from '../../helpers/wfdb-writer.ts'

describe('readRecording', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'formats-'))
    for (const { name, bytes } of writeWfdb(syntheticRecording({ seconds: 1 })))
      await writeFile(join(folder, name), bytes)
  })
  afterEach(() => rm(folder, { recursive: true }))

  test.each(['record.hea', 'record.dat'])('finds a record by %s', async (name) => {
    const recording = await readRecording(join(folder, name))

    expect(recording).toMatchObject({ format: 'wfdb', rateHz: 500 })
  })

  test.each([
    ['does not exist', 'other.hea', 'file-not-found'],
    ['is a folder', '.', 'file-not-found'],
  ])('refuses a path that %s', async (_, name, code) => {
    await expect(readRecording(join(folder, name))).rejects.toMatchObject({ code })
  })

  test('refuses a record without its signal file', async () => {
    await rm(join(folder, 'record.dat'))

    await expect(readRecording(join(folder, 'record.hea'))).rejects.toMatchObject({ code: 'file-not-found' })
  })

  test('recognizes no format without the header', async () => {
    await rm(join(folder, 'record.hea'))

    await expect(readRecording(join(folder, 'record.dat'))).rejects.toMatchObject({ code: 'format-unknown' })
  })

  test('reports the error of the format that --format names', async () => {
    await expect(readRecording(join(folder, 'record.dat'), { format: 'csv' })).rejects.toMatchObject({
      code: expect.stringMatching(/^(lead-unknown|payload-malformed|payload-empty)$/),
    })
  })
})

const ROOT = join(import.meta.dirname, '../../..')
const text = (content: string) => ({ name: 'notes.txt', bytes: Buffer.from(content) })

describe('parseRecording', () => {
  test.each([
    ['none', []],
    ['random bytes', [{ name: 'x.hea', bytes: Buffer.from([1, 2, 0, 255, 254]) }]],
    ['prose', [{ name: 'x.csv', bytes: Buffer.from('Dear all,\nplease find attached\n') }]],
    ['prose with a lead name', [text('Please read lead I, II\nand V1,\n2 of 3 are noisy\n\nThank you,\n5\n')]],
    ['a line of a header row in prose', [text('# Leads\n\nI, II\n1, 2\nare the first two,\nand V1\nis the third.\n')]],
    ['source code', [text('for (let i = 0; i < 3; i++) {\n  add(i, 1)\n}\nconst sizes = [\n  1,\n  2,\n]\n')]],
    ['a list of people', [text('id,age,sex\n1,55,M\n2,60,F\n3,71,M\n')]],
    ['a list of files', [text('ecg_id,file,label\n1,a.dcm,1\n2,b.dcm,0\n3,c.dcm,1\n')]],
    ['JSON with a number per line', [text('[\n  1,\n  2,\n  3,\n  4\n]\n')]],
  ])('refuses files of no known format (%s)', (_, files) => {
    expect(codedError(() => parseRecording(files)).code).toBe('format-unknown')
  })

  test('takes no document or source file of this repository for an ECG', () => {
    const names = [
      '*.md',
      'docs/**/*.md',
      'test/fixtures/**/*.{md,ts}',
      '{console/src/ecg,streams/mqtt}/**/*.{ts,tsx,proto}',
      '*.json',
    ]
    const files = globSync(names, { cwd: ROOT }).map((name) => ({ name, bytes: readFileSync(join(ROOT, name)) }))

    const codes = files.map((file) => [file.name, codedError(() => parseRecording([file])).code])

    expect(codes.length).toBeGreaterThan(80)
    expect(codes.filter(([, code]) => code !== 'format-unknown')).toEqual([])
  })

  test('refuses empty files', () => {
    expect(codedError(() => parseRecording([{ name: 'x', bytes: new Uint8Array() }])).code).toBe('payload-empty')
  })

  test('refuses oversized files before reading them', () => {
    const bytes = { length: MAX_FILE_BYTES + 1 } as Uint8Array // as: a buffer of that size would be all that the test does

    expect(codedError(() => parseRecording([{ name: 'x', bytes }])).code).toBe('payload-too-large')
  })

  test('refuses an unknown format name', () => {
    const files = writeWfdb(syntheticRecording({ seconds: 1 }))

    expect(codedError(() => parseRecording(files, { format: 'midi' })).code).toBe('format-unsupported')
  })
})

describe.skipIf(!hasData)(`real files in unsupported formats${NO_DATA}`, () => {
  test.each([
    ['format_zoo/json_zzu_pecg/index.json', 'format-unknown'],
    ['format_zoo/sph_h5/SPH00001.h5', 'format-unsupported'],
    ['ptbxl100/ptbxl_labels.csv', 'format-unknown'],
    ['ptbxl100/scp_statements.csv', 'format-unknown'],
    ['cinc2021/index.csv', 'format-unknown'],
  ])('refuses %s with %s', async (file, code) => {
    await expect(readRecording(dataPath(file))).rejects.toMatchObject({ code })
  })
})
