import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { type EdfOptions, writeEdf } from '../../helpers/edf-writer.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const short = syntheticRecording({ seconds: 1, rateHz: 250 })
const two = syntheticRecording({ seconds: 1, rateHz: 250, leads: ['II', 'V2'] })

const read = (options?: EdfOptions) => parseRecording([writeEdf(two, options)])

describe('the EDF reader', () => {
  test.each([
    {},
    { samplesPerRecord: 1 },
    { variant: 'EDF+C' },
    { variant: 'EDF+D' },
    { bits: 24 },
    { bits: 24, variant: 'BDF+C' },
  ] as const)('reads every sample of %o', (options) => {
    const recording = parseRecording([writeEdf(short, options)])

    expect(recording).toMatchObject({ format: 'edf', rateHz: 250, startedAt: '2024-03-02T04:05:06.000Z' })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
  })

  test('reads up to the last whole record when the record count is unknown', () => {
    const { name, bytes } = writeEdf(two, { fields: { records: '-1' } })

    const recording = parseRecording([{ name, bytes: bytes.subarray(0, -1) }])

    expect(recording.leads[0]!.samples).toEqual(two.leads[0]!.samples.subarray(0, 200))
  })

  test('fills gaps with missing samples', () => {
    const { leads, startedAt } = read({
      variant: 'EDF+D',
      onset: (record) => 0.5 + record * 0.2 + (record > 2 ? 1 : 0),
    })

    const [samples, written] = [leads[0]!.samples, two.leads[0]!.samples]
    expect(startedAt).toBe('2024-03-02T04:05:06.500Z')
    expect(samples).toHaveLength(500)
    expect(samples.subarray(0, 150)).toEqual(written.subarray(0, 150))
    expect(samples.subarray(150, 400).every((sample) => sample === MISSING_SAMPLE)).toBe(true)
    expect(samples.subarray(400)).toEqual(written.subarray(150))
  })

  test('computes microvolts from the ranges, the unit and the amplifier’s sign', () => {
    const { leads } = read({
      fields: { unit: 'mV', physicalMin: '5', physicalMax: '-3', digitalMin: '-2000', digitalMax: '2000' },
    })

    expect(leads[0]!.gainUv).toBeCloseTo(2, 12)
    // 5 mV at -2000, falling 2 uV a step: digital 500 is 0 mV
    expect(leads[0]!.samples).toEqual(two.leads[0]!.samples.map((sample) => 500 - sample))
  })

  test('ignores channels that are not standard leads', () => {
    const file = writeEdf(two)
    const bytes = Buffer.from(file.bytes)
    bytes.write('Resp    ', 256)

    expect(parseRecording([{ ...file, bytes }]).leads.map(({ name }) => name)).toEqual(['V2'])
  })

  test.each([
    ['MCH-0234567 F 02-MAY-1951 Jane_Doe', { sex: 'female', ageYears: 72 }],
    ['X M X X', { sex: 'male' }],
    ['X X X X', undefined],
    ['Doe Jane, F', undefined],
  ])('takes no identity from the EDF+ patient %j', (patient, person) => {
    expect(read({ variant: 'EDF+C', fields: { patient } }).person).toEqual(person)
  })

  test('gives no person when the patient field is free text', () => {
    expect(read({ fields: { patient: 'X M 02-MAY-1951 X' } }).person).toBeUndefined()
  })

  test.each([
    [{ date: '31.02.24' }, undefined],
    [{ date: 'unknown' }, undefined],
    [{ date: '02.03.85' }, '1985-03-02T04:05:06.000Z'],
    [{ time: '4:5:6' }, undefined],
    [{ recording: 'Startdate X X X X' }, undefined],
  ])('gives %o the start %s', (fields, startedAt) => {
    expect(read({ variant: 'EDF+C', fields }).startedAt).toBe(startedAt)
  })
})

describe('the EDF reader on damaged files', () => {
  test.each([['6'], ['99999999'], ['0'], ['five'], ['-7']])('ignores a record count of %s', (records) => {
    expect(read({ fields: { records } }).leads[0]!.samples).toEqual(two.leads[0]!.samples)
  })

  test('reads the complete records and reports the truncation', () => {
    const { name, bytes } = writeEdf(two)

    const recording = parseRecording([{ name, bytes: bytes.subarray(0, -1) }])

    expect(recording.leads[1]!.samples).toEqual(two.leads[1]!.samples.subarray(0, 200))
    expect(recording.warnings).toEqual([{ code: 'samples-left-out', field: 'record 5' }])
  })

  /** The offset of a signal's field, from the number of bytes of earlier fields per signal. */
  const fieldAt = (bytesBefore: number, length: number, signal: number) => 256 + 2 * bytesBefore + length * signal

  test.each<[string, number, number, string]>([
    ['an empty range', 16 + 80 + 8 + 8, 8, '-32768'],
    ['a range that is not a number', 16 + 80 + 8 + 8, 8, 'n/a'],
    ['a unit of pressure', 16 + 80, 8, 'mmHg'],
    ['another rate', 16 + 80 + 8 * 5 + 80, 8, '25'],
  ])('leaves out a lead with %s and reports it', (_, before, length, value) => {
    const file = writeEdf(two)
    const bytes = Buffer.from(file.bytes)
    bytes.write(value.padEnd(length), fieldAt(before, length, 1))

    const recording = parseRecording([{ ...file, bytes }])

    expect(recording.leads.map(({ name }) => name)).toEqual(['II'])
    expect(recording.warnings).toEqual([{ code: 'lead-left-out', leads: ['V2'] }])
  })

  test('ignores a wrong header length', () => {
    expect(read({ fields: { headerBytes: '512' } }).leads).toHaveLength(2)
  })
})

describe('the EDF reader on invalid files', () => {
  test.each<[string, EdfOptions, string]>([
    ['records without duration', { fields: { recordSeconds: '0' } }, 'rate-unsupported'],
    ['records without samples', { fields: { samplesPerRecord: '0' } }, 'rate-unsupported'],
    ['an enormous sample count', { fields: { samplesPerRecord: '99999999' } }, 'rate-unsupported'],
    ['a negative sample count', { fields: { samplesPerRecord: '-50' } }, 'payload-malformed'],
    ['a range of nought', { fields: { physicalMax: '-32768', physicalMin: '-32768' } }, 'gain-invalid'],
    ['an inverted digital range', { fields: { digitalMax: '-32768', digitalMin: '32767' } }, 'gain-invalid'],
    ['a zero level out of range', { fields: { physicalMin: '1e20', physicalMax: '1.1e20' } }, 'gain-invalid'],
    ['no unit', { fields: { unit: '' } }, 'unit-unknown'],
    ['a unit of pressure', { fields: { unit: 'mmHg' } }, 'unit-unknown'],
    ['no standard lead', { fields: { label: 'EEG Fpz-Cz' } }, 'lead-unknown'],
    ['a duplicate lead', { fields: { label: 'II' } }, 'lead-duplicate'],
    ['a discontinuous file without onsets', { variant: 'EDF+D', onset: () => Number.NaN }, 'payload-malformed'],
    ['records that overlap', { variant: 'EDF+D', onset: (record) => record * 0.1 }, 'payload-malformed'],
    ['a gap of an hour', { variant: 'EDF+D', onset: (record) => record * 3600 }, 'payload-too-large'],
  ])('refuses a file with %s', (_, options, code) => {
    expect(codedError(() => parseRecording([writeEdf(two, options)], { format: 'edf' })).code).toBe(code)
  })

  test('refuses more than ten minutes', () => {
    const file = writeEdf({
      ...two,
      leads: [{ name: 'I', gainUv: 1, samples: new Int32Array(100 * 601) }],
      rateHz: 100,
    })

    expect(codedError(() => parseRecording([file])).code).toBe('payload-too-large')
  })

  test('refuses a file that ends before its first whole record', () => {
    const { name, bytes } = writeEdf(two, { variant: 'EDF+C' })
    const lengths = Array.from({ length: 256 * 4 + 2 * (2 * 50 + 16) - 1 }, (_, i) => i + 1)

    const codes = lengths.map(
      (length) =>
        codedError(() => parseRecording([{ name, bytes: bytes.subarray(0, length) }], { format: 'edf' })).code,
    )

    expect(new Set(codes)).toEqual(new Set(['payload-malformed', 'payload-empty']))
  })
})

describe.skipIf(!hasData)(`a real EDF file${NO_DATA}`, () => {
  // pyedflib 0.1.42, readSignal(digital=True), and its header: -1000 to 1000 mV for -32768 to 32767, 800 Hz.
  // The converter that wrote it kept the digits of the .ECG beside it (5 uV each) under that range: six times too large.
  test('agrees with pyedflib in every sample', async () => {
    const recording = await readRecording(dataPath('format_zoo/contec/0000050.ECG.edf'))

    expect(recording).toMatchObject({ format: 'edf', rateHz: 800, startedAt: '2020-11-16T21:44:39.000Z' })
    expect(recording.person).toBeUndefined()
    const gainUv = (2000 / 65535) * 1000
    const flat = (name: string) => [name, gainUv, [0, 0, 0, 0, 0], 0, '044bcfa5379b6eed']
    expect(fingerprints(recording)).toEqual([
      ['I', gainUv, [-20, -30, -33, -28, -10], 124579, '002d4ca570620129'],
      ['II', gainUv, [-25, -34, -34, -29, -15], 82281, '8a3c92bb73f33eb6'],
      ['III', gainUv, [-5, -4, -1, -1, -5], -42298, '68d436b5aec9a24b'],
      ['aVR', gainUv, [23, 32, 34, 29, 13], -105350, '60c225e5667bded5'],
      ['aVL', gainUv, [-7, -13, -16, -13, -2], 83065, 'b70b9c524f11406b'],
      ['aVF', gainUv, [-15, -19, -17, -15, -10], 18913, '4eb2a2b221229e4f'],
      ...['V1', 'V2', 'V3', 'V4', 'V5', 'V6'].map(flat),
    ])
  })
})
