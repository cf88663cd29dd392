import { describe, expect, test } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { type IshneFields, writeIshne } from '../../helpers/ishne-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const short = syntheticRecording({ seconds: 0.2, rateHz: 250, gainUv: 2.5 })

describe('the ISHNE reader', () => {
  test('reads every sample, the start and the person, but no identity', () => {
    const recording = parseRecording([writeIshne(short)])

    expect(recording).toMatchObject({ format: 'ishne', rateHz: 250, startedAt: '2024-02-29T04:05:06.000Z' })
    expect(recording.person).toEqual({ sex: 'female', ageYears: 79 })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
    expect(JSON.stringify(recording)).not.toMatch(/Jane|Doe|4711/)
  })

  test('ignores leads that are not standard', () => {
    const specifications = [2, ...LEADS.slice(1).map((_, i) => i + 6)]

    expect(parseRecording([writeIshne(short, { specifications })]).leads).toHaveLength(11)
  })

  test('gives no dates when they are unset (-9)', () => {
    const { startedAt, person } = parseRecording([
      writeIshne(short, { birth: [-9, -9, -9], date: [-9, -9, -9], sex: 0 }),
    ])

    expect([startedAt, person]).toEqual([undefined, undefined])
  })
})

describe('the ISHNE reader on damaged files', () => {
  test.each([0, 1])('reports the wrong header checksum %i', (checksum) => {
    const recording = parseRecording([writeIshne(short, { checksum })])

    expect(fingerprints(recording)).toEqual(fingerprints(short))
    expect(recording.warnings).toEqual([{ code: 'checksum-mismatch', field: 'header' }])
  })

  test.each([51, 0x7fff_ffff, 0, -1])('reads the samples present when the header counts %i', (samples) => {
    expect(fingerprints(parseRecording([writeIshne(short, { samples })]))).toEqual(fingerprints(short))
  })
})

describe('the ISHNE reader on invalid files', () => {
  test.each<[string, IshneFields, string]>([
    ['an offset outside the file', { ecgOffset: 99_999 }, 'payload-malformed'],
    ['a negative offset', { ecgOffset: -1 }, 'payload-malformed'],
    ['a negative block', { variableBytes: -99_999 }, 'payload-malformed'],
    ['an enormous block', { variableBytes: 0x7fff_ffff }, 'payload-malformed'],
    ['no leads', { leads: 0 }, 'payload-malformed'],
    ['too many leads', { leads: 13 }, 'payload-malformed'],
    ['no standard lead', { specifications: Array(12).fill(2) }, 'lead-unknown'],
    ['a duplicate lead', { specifications: Array(12).fill(5) }, 'lead-duplicate'],
    ['a resolution of zero', { nanovolts: 0 }, 'gain-invalid'],
    ['a negative resolution', { nanovolts: -5000 }, 'gain-invalid'],
    ['a rate of zero', { rateHz: 0 }, 'rate-unsupported'],
    ['a rate that is too high', { rateHz: 4000 }, 'rate-unsupported'],
  ])('refuses a file with %s', (_, fields, code) => {
    expect(codedError(() => parseRecording([writeIshne(short, fields)])).code).toBe(code)
  })

  test('refuses a file that ends before its samples', () => {
    const { name, bytes } = writeIshne(short)

    const codes = Array.from(
      { length: bytes.length - 8 - 2 * short.leads.length * short.leads[0]!.samples.length },
      (_, cut) => codedError(() => parseRecording([{ name, bytes: bytes.subarray(0, 8 + cut) }])).code,
    )

    expect(new Set(codes)).toEqual(new Set(['payload-malformed']))
  })
})

describe.skipIf(!hasData)(`a real ISHNE file${NO_DATA}`, () => {
  // ishneholterlib 2020.5.29: Holter.load_data(), lead.data * 1000 / (lead.res / 1000), rounded
  test('agrees with ishneholterlib in every sample', async () => {
    const recording = await readRecording(dataPath('format_zoo/ishne/ECG_P28.01.ecg'))

    expect(recording).toMatchObject({ format: 'ishne', rateHz: 1000, startedAt: '2000-01-01T07:00:00.000Z' })
    expect(recording.person).toBeUndefined()
    expect(recording.leads[0]!.samples).toHaveLength(95_573)
    expect(fingerprints(recording)).toEqual([
      ['I', 5, [3, 2, 2, 4, 8], 8545, '276d792514d229dc'],
      ['II', 5, [8, 7, 8, 9, 13], 6943, '2ce468b8bd0363ad'],
      ['III', 5, [5, 5, 6, 5, 5], -1602, '0460aa8cd49ffa0f'],
      ['aVR', 5, [-5, -4, -5, -6, -10], -9170, 'be47c4344f8110b6'],
      ['aVL', 5, [-1, -1, -2, 0, 1], 4875, '4db879f3bcc1eb8a'],
      ['aVF', 5, [6, 6, 7, 7, 9], 3902, 'b55ecc35fd3ebc6e'],
      ['V1', 5, [-2, -2, -2, -1, 0], 9153, 'd73f585a8778df5d'],
      ['V2', 5, [-3, -4, -3, -3, -3], 8168, '826bf6994df5e4ca'],
      ['V3', 5, [-2, -3, -3, -2, -2], 7880, '2eb9ba1b7c0f3362'],
      ['V4', 5, [20, 20, 21, 22, 22], 13342, '2d753e3cd8e728ef'],
      ['V5', 5, [16, 16, 16, 16, 17], 13535, 'e0b8d9cac5b64f67'],
      ['V6', 5, [6, 6, 6, 5, 6], 10786, 'aa3703012058204e'],
    ])
  })
})
