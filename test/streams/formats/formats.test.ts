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

describe('parseRecording', () => {
  test.each([
    ['none', []],
    ['random bytes', [{ name: 'x.hea', bytes: Buffer.from([1, 2, 0, 255, 254]) }]],
    ['prose', [{ name: 'x.csv', bytes: Buffer.from('Dear all,\nplease find attached\n') }]],
  ])('refuses files of no known format (%s)', (_, files) => {
    expect(codedError(() => parseRecording(files)).code).toBe('format-unknown')
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
    ['json_zzu_pecg/index.json', 'format-unknown'],
    ['sph_h5/SPH00001.h5', 'format-unsupported'],
  ])('refuses %s with %s', async (file, code) => {
    await expect(readRecording(dataPath('format_zoo', file))).rejects.toMatchObject({ code })
  })
})
