import { deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { i16, u8, u16, u32 } from '../../helpers/bytes.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import {
  type Element,
  type GroupOptions,
  waveformGroup,
  writeDicom,
  writeWaveform,
} from '../../helpers/dicom-writer.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const short = syntheticRecording({ seconds: 1, rateHz: 250, gainUv: 2.5 })
const two = syntheticRecording({ seconds: 0.1, rateHz: 250, leads: ['II', 'V2'] })

const read = (recording: Recording, options?: GroupOptions) => parseRecording([writeWaveform(recording, options)])
const groupsFile = (...groups: readonly (readonly Element[])[]) => [writeDicom([[0x5400_0100, 'SQ', groups]])]

describe('the DICOM reader', () => {
  test.each([
    { syntax: 'explicit' },
    { syntax: 'explicit', undefinedLengths: true },
    { syntax: 'implicit' },
    { syntax: 'implicit', undefinedLengths: true },
    { syntax: 'deflated' },
  ] as const)('reads every sample of %o', (options) => {
    const recording = parseRecording([writeWaveform(short, options)])

    expect(recording).toMatchObject({ format: 'dicom', rateHz: 250 })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
  })

  test.each<[string, NonNullable<GroupOptions['source']>]>([
    ['MDC codes', (name) => [name === 'II' ? '2:2' : '2:4', 'MDC', 'x']],
    ['names', (name) => [`MDC_ECG_LEAD_${name}`, 'MDC', 'x']],
    ['meanings', (name) => ['?', '99LOCAL', `Lead ${name} (Einthoven)`]],
  ])('identifies leads by %s', (_, source) => {
    const recording = read(two, { source })

    expect(recording.leads.map(({ name }) => name)).toEqual(['II', 'V2'])
  })

  test('computes microvolts from sensitivity, correction factor and unit, and rounds the baseline', () => {
    const millivolts: Element[] = [[0x0008_0100, 'SH', 'mV']]
    const recording = read(two, {
      channel: [
        [0x003a_0210, 'DS', '0.002'],
        [0x003a_0211, 'SQ', [millivolts]],
        [0x003a_0212, 'DS', '1.5'],
        [0x003a_0213, 'DS', '0.03'],
      ],
    })

    expect(recording.leads[0]!.gainUv).toBeCloseTo(3, 12)
    expect(recording.leads[0]!.samples).toEqual(two.leads[0]!.samples.map((sample) => sample + 10))
  })

  test('marks padding as missing', () => {
    const samples = Int32Array.of(5, MISSING_SAMPLE, -7, MISSING_SAMPLE)

    expect(read({ ...two, leads: [{ name: 'I', gainUv: 1, samples }] }).leads[0]!.samples).toEqual(samples)
  })

  test.each([
    ['SB', 8, u8(1, 2, 0xff, 4), [1, -1]],
    ['UB', 8, u8(1, 2, 0xff, 4), [1, 255]],
    ['US', 16, u16(1, 2, 0xffff, 4), [1, 65535]],
    ['SL', 32, u32(1, 2, 0xffff_ffff, 4), [1, -1]],
  ])('reads samples of type %s', (type, bits, data, expected) => {
    const recording = read(two, {
      group: [
        [0x003a_0010, 'UL', u32(2)],
        [0x5400_1004, 'US', u16(bits)],
        [0x5400_1006, 'CS', type],
        [0x5400_1010, 'OW', data],
      ],
    })

    expect([...recording.leads[0]!.samples]).toEqual(expected)
  })

  test('reads the ten-second rhythm, not printed strips or a median beat', () => {
    const rhythm = syntheticRecording({ rateHz: 250, leads: ['II'] })
    const strip = syntheticRecording({ rateHz: 250, seconds: 2.5 })
    const median = syntheticRecording({ rateHz: 250, seconds: 12 })

    const recording = parseRecording(
      groupsFile(waveformGroup(strip), waveformGroup(rhythm), waveformGroup(median, { originality: 'DERIVED' })),
    )

    expect(fingerprints(recording)).toEqual(fingerprints(rhythm))
  })

  test('joins groups of the same time, rate and length', () => {
    const limb = { ...short, leads: short.leads.slice(0, 6) }
    const chest = { ...short, leads: short.leads.slice(6) }
    const later = waveformGroup({ ...short, leads: short.leads.slice(0, 1) }, { offsetMs: '1000' })

    const recording = parseRecording(groupsFile(waveformGroup(chest), later, waveformGroup(limb)))

    expect(recording.leads.map(({ name }) => name)).toEqual([
      'V1',
      'V2',
      'V3',
      'V4',
      'V5',
      'V6',
      'I',
      'II',
      'III',
      'aVR',
      'aVL',
      'aVF',
    ])
  })

  test('gives the start in UTC and the person, but no identity', () => {
    const file = writeDicom([
      [0x0008_002a, 'DT', '20240229003000.25'],
      [0x0008_0201, 'SH', '+0100'],
      [0x0010_0010, 'PN', 'Doe^Jane'],
      [0x0010_0030, 'DA', '19440301'],
      [0x0010_0040, 'CS', 'F'],
      [0x0010_1020, 'DS', '1.7'],
      [0x0010_1030, 'DS', '0'],
      [0x5400_0100, 'SQ', [waveformGroup(two, { offsetMs: '500' })]],
    ])

    const { startedAt, person } = parseRecording([file])

    expect(startedAt).toBe('2024-02-28T23:30:00.750Z')
    expect(person).toEqual({ sex: 'female', ageYears: 79, heightCm: 170 })
  })

  test.each([
    ['042Y', 42],
    ['018M', 1],
    ['', undefined],
    ['121Y', undefined],
  ])('reads the age %j', (age, years) => {
    const file = writeDicom([
      [0x0010_1010, 'AS', age],
      [0x5400_0100, 'SQ', [waveformGroup(two)]],
    ])

    expect(parseRecording([file]).person?.ageYears).toBe(years)
  })

  test('ignores elements that it does not know', () => {
    const file = writeDicom(
      [
        [0x0009_1010, 'UN', Buffer.from('whatever')],
        [0x0040_0555, 'SQ', [[[0x0040_a168, 'SQ', [[[0x0008_0100, 'SH', 'x']]]]]]],
        [0x5400_0100, 'SQ', [waveformGroup(two)]],
      ],
      { undefinedLengths: true },
    )

    expect(fingerprints(parseRecording([file]))).toEqual(fingerprints(two))
  })
})

describe('the DICOM reader on damaged files', () => {
  test('reports a sample count beyond the data, and reads the data', () => {
    const recording = read(two, { group: [[0x003a_0010, 'UL', u32(26)]] })

    expect(fingerprints(recording)).toEqual(fingerprints(two))
    expect(recording.warnings).toEqual([{ code: 'samples-left-out', field: 'sample 25' }])
  })

  test('loses only the samples of a truncated tail', () => {
    const { name, bytes } = writeWaveform(two)

    const { leads, warnings } = parseRecording([{ name, bytes: bytes.subarray(0, -6) }])

    expect(leads[0]!.samples.length).toBeLessThan(25)
    expect(leads[0]!.samples).toEqual(two.leads[0]!.samples.subarray(0, leads[0]!.samples.length))
    expect(warnings).toMatchObject([{ code: 'samples-left-out' }])
  })

  test.each(['explicit', 'implicit'] as const)('accepts a file without preamble and file meta group (%s)', (syntax) => {
    const uid = (tag: number) => [tag, 'UI', '1.2.840.10008.5.1.4.1.1.9.1.1'] as const
    const waveform = [0x5400_0100, 'SQ', [waveformGroup(two)]] as const
    const { name, bytes } = writeDicom([uid(0x0008_0016), uid(0x0008_0018), waveform], { syntax })
    const at = Buffer.from(bytes).indexOf(Buffer.from([0x08, 0, 0x16, 0]), 132)

    for (const start of [128, 132, at]) {
      const bare = bytes.subarray(start)
      expect(fingerprints(parseRecording([{ name, bytes: bare }]))).toEqual(fingerprints(two))
    }
  })

  test('ignores bytes after the data set', () => {
    const { name, bytes } = writeWaveform(two)
    const tail = Buffer.from('\xff\xff\xffEOF\0\0\0trailer', 'latin1')

    expect(fingerprints(parseRecording([{ name, bytes: Buffer.concat([bytes, tail]) }]))).toEqual(fingerprints(two))
  })

  test('keeps samples that equal the padding value', () => {
    const ecg = syntheticRecording({ seconds: 1, rateHz: 250, leads: ['II', 'V2'] })

    const zero = read(ecg, { group: [[0x5400_100a, 'OW', i16(0)]] })

    expect(fingerprints(zero)).toEqual(fingerprints(ecg))
  })
})

describe('the DICOM reader on invalid files', () => {
  const unit: Element[] = [[0x0008_0100, 'SH', 'mm[Hg]']]

  test.each<[string, GroupOptions, string]>([
    ['an enormous sample count', { group: [[0x003a_0010, 'UL', u32(0xffff_ffff)]] }, 'payload-too-large'],
    ['no samples', { group: [[0x003a_0010, 'UL', u32(0)]] }, 'payload-empty'],
    ['a truncated count', { group: [[0x003a_0010, 'UL', u16(1)]] }, 'payload-malformed'],
    ['more channels than definitions', { group: [[0x003a_0005, 'US', u16(3)]] }, 'payload-malformed'],
    ['no rate', { group: [[0x003a_001a, 'DS', '']] }, 'rate-unsupported'],
    ['a rate of zero', { group: [[0x003a_001a, 'DS', '0']] }, 'rate-unsupported'],
    ['a rate that is not a number', { group: [[0x003a_001a, 'DS', '0x10']] }, 'field-invalid'],
    ['an audio sample type', { group: [[0x5400_1006, 'CS', 'MB']] }, 'format-unsupported'],
    ['a sample type that contradicts the bits', { group: [[0x5400_1004, 'US', u16(8)]] }, 'format-unsupported'],
    ['no data', { group: [[0x5400_1010, 'OW', i16()]] }, 'payload-malformed'],
    ['no sensitivity', { channel: [[0x003a_0210, 'DS', '']] }, 'gain-invalid'],
    ['a sensitivity of zero', { channel: [[0x003a_0210, 'DS', '0']] }, 'gain-invalid'],
    ['a negative correction', { channel: [[0x003a_0212, 'DS', '-1']] }, 'gain-invalid'],
    ['a baseline out of range', { channel: [[0x003a_0213, 'DS', '1e12']] }, 'field-invalid'],
    ['no unit', { channel: [[0x003a_0211, 'SQ', []]] }, 'unit-unknown'],
    ['a unit of pressure', { channel: [[0x003a_0211, 'SQ', [unit]]] }, 'unit-unknown'],
    ['skewed channels', { channel: [[0x003a_0215, 'DS', '3']] }, 'format-unsupported'],
    ['channels skewed in time', { channel: [[0x003a_0214, 'DS', '0.1']] }, 'format-unsupported'],
    ['no standard lead', { source: () => ['5.6.3-9-16', 'SCPECG', 'Lead X'] }, 'lead-unknown'],
    ['a duplicate lead', { source: () => ['5.6.3-9-1', 'SCPECG', 'Lead I'] }, 'lead-duplicate'],
  ])('refuses a file with %s', (_, options, code) => {
    expect(codedError(() => read(two, options)).code).toBe(code)
  })

  test('refuses an image', () => {
    const file = writeDicom([[0x0028_0010, 'US', u16(512)]])

    expect(codedError(() => parseRecording([file]))).toMatchObject({
      code: 'format-unsupported',
      detail: { field: 'waveformSequence' },
    })
  })

  test('refuses big-endian', () => {
    expect(codedError(() => parseRecording([writeWaveform(two, { syntax: 'bigEndian' })])).code).toBe(
      'format-unsupported',
    )
  })

  test('refuses a file that ends before its samples', () => {
    const { name, bytes } = writeWaveform(two)
    const samplesBytes = 2 * 2 * two.leads[0]!.samples.length

    const codes = Array.from(
      { length: bytes.length - 132 - samplesBytes - 300 },
      (_, cut) => codedError(() => parseRecording([{ name, bytes: bytes.subarray(0, 132 + cut) }])).code,
    )

    expect(new Set(codes)).toEqual(new Set(['format-unsupported', 'payload-malformed', 'rate-unsupported']))
  })

  test('stops inflating a decompression bomb at the limit', () => {
    const file = writeDicom([], { syntax: 'deflated' })
    const bytes = Buffer.concat([file.bytes.subarray(0, -2), deflateRawSync(Buffer.alloc(65 * 1024 * 1024))])

    expect(codedError(() => parseRecording([{ ...file, bytes }])).code).toBe('payload-too-large')
  })

  test('refuses endlessly nested sequences', () => {
    const nested = Buffer.concat(
      Array.from({ length: 100_000 }, () => [
        u16(0x0040, 0x0555),
        Buffer.from('SQ\0\0'),
        u32(0xffff_ffff),
        u16(0xfffe, 0xe000),
        u32(0xffff_ffff),
      ]).flat(),
    )
    const file = writeDicom([])

    expect(codedError(() => parseRecording([{ ...file, bytes: Buffer.concat([file.bytes, nested]) }]))).toMatchObject({
      code: 'payload-malformed',
      detail: { field: 'depth' },
    })
  })

  test.each([
    ['elements', Buffer.alloc(0), Buffer.concat([u16(0x0009, 0x0001), Buffer.from('LO\0\0')])],
    ['items', Buffer.concat([u16(0x0040, 0x0555), Buffer.from('SQ\0\0'), u32(0xffff_ffff)]), u16(0xfffe, 0xe000, 0, 0)],
  ])('refuses endless empty %s', (_, start, each) => {
    const file = writeDicom([])
    const bytes = Buffer.concat([file.bytes, start, Buffer.alloc(9_000_000, each)])

    expect(codedError(() => parseRecording([{ ...file, bytes }])).detail).toMatchObject({ field: 'elements' })
  })

  test('refuses a thousand groups', () => {
    expect(codedError(() => parseRecording(groupsFile(...Array.from({ length: 1000 }, () => [])))).code).toBe(
      'payload-malformed',
    )
  })
})

describe.skipIf(!hasData)(`a real DICOM ECG${NO_DATA}`, () => {
  // pydicom 3.0.2: waveform_array(0) / 1.25, the group labelled RHYTHM; name and units as in its channel definitions
  test('agrees with pydicom in every sample', async () => {
    const recording = await readRecording(dataPath('format_zoo/dicom/pydicom_waveform_ecg.dcm'))

    expect(recording).toMatchObject({
      format: 'dicom',
      rateHz: 1000,
      startedAt: '2013-01-25T10:59:19.000Z',
      person: { sex: 'female', ageYears: 42 },
    })
    expect(fingerprints(recording)).toEqual([
      ['I', 1.25, [80, 65, 50, 35, 37], 741291, '75d9c09240e3ec43'],
      ['II', 1.25, [90, 85, 80, 75, 77], 726870, '15d887b712b65b6c'],
      ['III', 1.25, [10, 20, 30, 40, 40], -14421, '5b7c137a640432aa'],
      ['aVR', 1.25, [-85, -75, -65, -55, -57], -731598, 'a1e7caefdbda93ff'],
      ['aVL', 1.25, [35, 22, 10, -3, -2], 375411, '1391d11ddc775463'],
      ['aVF', 1.25, [50, 52, 55, 57, 58], 353730, '517b2e59806e1613'],
      ['V1', 1.25, [40, 40, 40, 40, 35], 286220, 'faad3eabe877423d'],
      ['V2', 1.25, [15, 20, 25, 30, 25], 317155, 'e14cb3d9e1414e42'],
      ['V3', 1.25, [-10, -10, -10, -10, -15], 293860, '74c7c2322b97f674'],
      ['V4', 1.25, [-20, -20, -20, -20, -25], 304835, '5be4c5ca20b7039b'],
      ['V5', 1.25, [-55, -60, -65, -70, -70], 308945, 'c22088b93102e2cd'],
      ['V6', 1.25, [-40, -40, -40, -40, -40], 307350, 'e9c24ae335e268b3'],
    ])
  })
})
