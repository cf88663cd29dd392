import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { crcCcitt } from '../../../streams/formats/crc.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { i16, u8, u16, u32 } from '../../helpers/bytes.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { type ScpOptions, sealScp, writeScp } from '../../helpers/scp-writer.ts'

const short = syntheticRecording({ seconds: 2, rateHz: 500, gainUv: 2.5 })
const two = syntheticRecording({ seconds: 0.2, rateHz: 500, gainUv: 1, leads: ['II', 'V2'] })

const read = (options?: ScpOptions) => parseRecording([writeScp(two, options)])

describe('the SCP-ECG reader', () => {
  const codings = (['none', 'default', 'custom'] as const).flatMap((huffman) =>
    ([0, 1, 2] as const).map((differences) => ({ huffman, differences })),
  )

  test.each(codings)('reads every sample of %o', (options) => {
    const recording = parseRecording([writeScp(short, options)])

    expect(recording).toMatchObject({ format: 'scp', rateHz: 500 })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
  })

  test('reads large differences by the 8- and 16-bit codes and by a table switch', () => {
    const samples = Int32Array.of(0, 8, -8, 9, -9, 127, -127, 128, -128, 2047, 2048, -32768, 32767, 1)
    const steep = { ...two, leads: [{ name: 'V1', gainUv: 1, samples }] } as const

    for (const huffman of ['default', 'custom'] as const)
      expect(parseRecording([writeScp(steep, { huffman })]).leads[0]!.samples).toEqual(samples)
  })

  test('fills the spans outside each lead with missing samples', () => {
    const spans = [
      { start: 10, end: 49 },
      { start: 50, end: 99 },
    ]

    const { leads, startedAt } = read({
      spans,
      tags: [
        [25, Buffer.concat([u16(2024), u8(2, 29)])],
        [26, u8(4, 5, 6)],
      ],
    })

    expect(startedAt).toBe('2024-02-29T04:05:06.020Z')
    expect(leads.map(({ samples }) => samples.length)).toEqual([90, 90])
    expect(leads[0]!.samples.subarray(0, 40)).toEqual(two.leads[0]!.samples.subarray(10, 50))
    expect(leads[0]!.samples.subarray(40).every((sample) => sample === MISSING_SAMPLE)).toBe(true)
    expect(leads[1]!.samples.subarray(0, 40).every((sample) => sample === MISSING_SAMPLE)).toBe(true)
    expect(leads[1]!.samples.subarray(40)).toEqual(two.leads[1]!.samples.subarray(50))
  })

  describe('on high compression', () => {
    /** Level but for two beats, which differ a little; the second is cut off by the end. */
    const beat = Int32Array.of(0, 5, -20, 400, -90, 10, 0, 0)
    const samples = new Int32Array(50)
    samples.set(beat, 8)
    samples.set(beat.subarray(0, 6), 44)
    samples[11] = 410
    const beating = { ...two, leads: [{ name: 'II', gainUv: 2.5, samples }] } as const
    const protectedSpans = [
      { start: 8, end: 15 },
      { start: 44, end: 49 },
    ]
    const reference = {
      samples: beat,
      fiducial: 3,
      beats: [
        { start: 8, fiducial: 11, end: 15 },
        { start: 44, fiducial: 47, end: 49 },
      ],
    }

    test.each([
      ['averaged between beats', { bimodal: { factor: 4, protectedSpans } }],
      ['with a subtracted reference beat', { reference }],
      ['with both', { bimodal: { factor: 4, protectedSpans }, reference }],
    ])('restores records %s', (_, options) => {
      for (const differences of [0, 1, 2] as const)
        expect(parseRecording([writeScp(beating, { ...options, differences })]).leads[0]!.samples).toEqual(samples)
    })

    test('interpolates linearly between the centres of averaged samples, and stays level at the ends', () => {
      const ramp = {
        ...two,
        leads: [{ name: 'II', gainUv: 1, samples: Int32Array.from({ length: 21 }, (_, i) => 8 * i) }],
      } as const

      const recording = parseRecording([
        writeScp(ramp, { bimodal: { factor: 4, protectedSpans: [{ start: 8, end: 11 }] } }),
      ])

      expect([...recording.leads[0]!.samples]).toEqual([
        12, 12, 16, 24, 32, 40, 44, 44, 64, 72, 80, 88, 108, 108, 112, 120, 128, 136, 140, 140, 140,
      ])
    })

    const spans = (...pairs: readonly (readonly [number, number])[]) => pairs.map(([start, end]) => ({ start, end }))

    test.each<[string, ScpOptions, string]>([
      ['spans out of order', { bimodal: { factor: 4, protectedSpans: spans([44, 49], [8, 15]) } }, 'payload-malformed'],
      ['overlapping spans', { bimodal: { factor: 4, protectedSpans: spans([8, 15], [12, 20]) } }, 'payload-malformed'],
      [
        'a piece that is not a multiple of the factor',
        { bimodal: { factor: 4, protectedSpans: spans([9, 15]) } },
        'format-unsupported',
      ],
      ['no beats', { reference, sections: { 4: undefined } }, 'payload-malformed'],
      ['more beats than it lists', { reference, sections: { 4: u16(16, 4, 0xffff) } }, 'payload-malformed'],
      ['no reference beat', { reference, sections: { 5: undefined } }, 'payload-malformed'],
      ['a reference beat longer than its data', { reference, sections: { 4: u16(0xffff, 4, 0) } }, 'payload-malformed'],
    ])('refuses a record with %s', (_, options, code) => {
      expect(codedError(() => parseRecording([writeScp(beating, options)])).code).toBe(code)
    })
  })

  test('gives the start in UTC and the person, but no identity', () => {
    const { startedAt, person } = read({
      tags: [
        [0, Buffer.from('Doe\0')],
        [2, Buffer.from('4711\0')],
        [5, Buffer.concat([u16(1944), u8(3, 1)])],
        [6, Buffer.concat([u16(67), u8(2)])],
        [7, Buffer.concat([u16(150), u8(3)])],
        [8, u8(2)],
        [25, Buffer.concat([u16(2024), u8(2, 29)])],
        [26, u8(0, 30, 0)],
        [34, Buffer.concat([i16(60), u16(0)])],
      ],
    })

    expect(startedAt).toBe('2024-02-28T23:30:00.000Z')
    expect(person).toMatchObject({ sex: 'female', ageYears: 79 })
    expect(person!.heightCm).toBeCloseTo(170.18, 9)
    expect(person!.weightKg).toBeCloseTo(68.04, 2)
  })

  test.each([
    [42, 1, 42],
    [30, 2, 2],
    [0, 1, undefined],
    [42, 0, undefined],
  ])('reads an age of %i in unit %i', (count, unit, years) => {
    expect(read({ tags: [[4, Buffer.concat([u16(count), u8(unit)])]] }).person?.ageYears).toBe(years)
  })

  test('gives neither start nor person without a header', () => {
    expect(read({ sections: { 1: undefined } })).toMatchObject({ startedAt: undefined, person: undefined })
  })
})

describe('the SCP-ECG reader on damaged files', () => {
  test.each([
    ['a truncated date', Buffer.concat([u8(25), u16(2, 2024), u8(26), u16(3), u8(1, 2, 3)])],
    ['a tag past its end', Buffer.concat([u8(25), u16(99)])],
    ['endless tags', Buffer.alloc(60_000)],
  ])('leaves out a header with %s and reports it', (_, header) => {
    const recording = read({ sections: { 1: header } })

    expect(fingerprints(recording)).toEqual(fingerprints(two))
    expect(recording.warnings).toEqual([{ code: 'field-left-out', field: 'section1' }])
  })

  test('reports a wrong checksum when another one proves the samples intact', () => {
    const { name, bytes } = writeScp(two)
    const [record, section] = [Buffer.from(bytes), Buffer.from(bytes)]
    record[0]! ^= 1
    section[22 + 120]! ^= 1
    section.writeUInt16LE(crcCcitt(section.subarray(2)), 0)

    for (const [changed, field] of [
      [record, 'record'],
      [section, 'section1'],
    ] as const) {
      const recording = parseRecording([{ name, bytes: changed }])
      expect(fingerprints(recording)).toEqual(fingerprints(two))
      expect(recording.warnings).toEqual([{ code: 'checksum-mismatch', field }])
    }
  })

  const entry = (start: number, end: number, code: number) => Buffer.concat([u32(start, end), u8(code)])

  test.each([
    ['with an end counted from 1', 0, 100],
    ['', 0, 99],
  ])('accepts sample numbers from 0 %s', (_, start, end) => {
    const spans = Buffer.concat([u8(2, 0), entry(start, end, 2), entry(start, end, 4)])

    expect(fingerprints(read({ sections: { 3: spans } }))).toEqual(fingerprints(two))
  })

  test('leaves out a lead that is longer than its data, and reports it', () => {
    const spans = Buffer.concat([u8(2, 0), entry(1, 9000, 2), entry(1, 100, 4)])

    const recording = read({ sections: { 3: spans } })

    expect(recording.leads.map(({ name, samples }) => [name, samples.length])).toEqual([['V2', 100]])
    expect(recording.warnings).toEqual([{ code: 'lead-left-out', leads: ['II'] }])
  })
})

describe('the SCP-ECG reader on invalid files', () => {
  const lead = (start: number, end: number, code: number) => Buffer.concat([u32(start, end), u8(code)])
  const leads = (...all: readonly Buffer[]) => Buffer.concat([u8(all.length, 0), ...all])
  const huffman = (...structure: readonly number[]) => Buffer.concat([u16(1, 1), u8(...structure, 0, 0, 0, 0, 0, 0)])

  test.each<[string, NonNullable<ScpOptions['sections']>, string]>([
    ['no rhythm', { 6: undefined }, 'payload-malformed'],
    ['no leads', { 3: undefined }, 'payload-malformed'],
    ['a lead count of zero', { 3: leads() }, 'lead-missing'],
    ['more leads than it lists', { 3: u8(200, 0) }, 'payload-malformed'],
    ['no standard lead', { 3: leads(lead(1, 100, 16), lead(1, 100, 17)) }, 'lead-unknown'],
    ['a duplicate lead', { 3: leads(lead(1, 100, 1), lead(1, 100, 1)) }, 'lead-duplicate'],
    ['more samples than it holds', { 3: leads(lead(1, 9000, 1), lead(1, 9000, 2)) }, 'payload-malformed'],
    ['an enormous sample count', { 3: leads(lead(1, 0xffff_ffff, 1), lead(1, 100, 2)) }, 'payload-too-large'],
    ['an end before its start', { 3: leads(lead(50, 10, 1), lead(1, 100, 2)) }, 'payload-malformed'],
    ['a step of zero', { 6: Buffer.concat([u16(0, 2000), u8(0, 0), u16(0, 0)]) }, 'gain-invalid'],
    ['an interval of zero', { 6: Buffer.concat([u16(1000, 0), u8(0, 0), u16(0, 0)]) }, 'rate-unsupported'],
    ['a third difference', { 6: Buffer.concat([u16(1000, 2000), u8(3, 0), u16(0, 0)]) }, 'format-unsupported'],
    ['a length past its end', { 6: Buffer.concat([u16(1000, 2000), u8(0, 0), u16(9, 0)]) }, 'payload-malformed'],
    ['no Huffman tables', { 2: u16(0) }, 'payload-malformed'],
    ['more tables than present', { 2: u16(500) }, 'payload-malformed'],
    ['more codes than present', { 2: u16(1, 0xffff) }, 'payload-malformed'],
    ['a code without bits', { 2: huffman(0, 0, 1) }, 'payload-malformed'],
    ['a code with too many bits', { 2: huffman(40, 40, 1) }, 'payload-malformed'],
    ['a code shorter than its prefix', { 2: huffman(2, 1, 1) }, 'payload-malformed'],
    ['a switch to a missing table', { 2: huffman(1, 1, 0) }, 'payload-malformed'],
    ['bits that match no code', { 2: huffman(8, 8, 1) }, 'payload-malformed'],
  ])('refuses a record with %s', (_, sections, code) => {
    expect(codedError(() => read({ sections })).code).toBe(code)
  })

  test('refuses codes of which one is a prefix of another', () => {
    const tables = Buffer.concat([u16(1, 2), u8(1, 1, 1), i16(0), u32(0), u8(2, 2, 1), i16(1), u32(0)])

    expect(codedError(() => read({ sections: { 2: tables } })).code).toBe('payload-malformed')
  })

  test('refuses a wrong section checksum when the record checksum is wrong too', () => {
    const { name, bytes } = writeScp(two)
    const flipped = Buffer.from(bytes)
    flipped[bytes.length - 1]! ^= 1

    expect(codedError(() => parseRecording([{ name, bytes: flipped }])).detail).toMatchObject({ field: 'section6' })
  })

  test('refuses a record beyond the size limit', () => {
    expect(codedError(() => read({ sections: { 7: Buffer.alloc(33 * 1024 * 1024) } })).code).toBe('payload-too-large')
  })

  test('refuses a pointer outside the file', () => {
    const { name, bytes } = writeScp(two)
    const changed = Buffer.from(bytes)
    changed.writeUInt32LE(0xffff_fff0, 22 + 6 * 10 + 6)

    expect(codedError(() => parseRecording([{ name, bytes: sealScp(changed) }])).detail).toMatchObject({
      field: 'section6',
    })
  })

  test('refuses truncation at any point', () => {
    const { name, bytes } = writeScp(two)

    const codes = Array.from(
      { length: bytes.length },
      (_, length) =>
        codedError(() => parseRecording([{ name, bytes: bytes.subarray(0, Math.max(1, length)) }], { format: 'scp' }))
          .code,
    )

    expect(new Set(codes)).toEqual(new Set(['payload-malformed']))
  })
})

test('the SCP-ECG reader reads a mutated record with valid checksums or refuses it with a code', () => {
  const options = {
    huffman: 'custom',
    differences: 2,
    bimodal: { factor: 4, protectedSpans: [{ start: 48, end: 51 }] },
    reference: { samples: Int32Array.of(1, 5, 2), fiducial: 1, beats: [{ start: 48, fiducial: 49, end: 50 }] },
  } as const
  const { name, bytes } = writeScp(two, options)
  const damage = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })

  fc.assert(
    fc.property(damage, (changes) => {
      const changed = Buffer.from(bytes)
      for (const [at, value] of changes) changed[at] = value

      let outcome: unknown
      try {
        outcome = parseRecording([{ name, bytes: sealScp(changed) }], { format: 'scp' }).leads.length
      } catch (error) {
        outcome = error
      }

      expect(typeof outcome === 'number' || outcome instanceof CodedError).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

describe.skipIf(!hasData)(`a real SCP-ECG record${NO_DATA}`, () => {
  // The digits of ecgtoolkit_Example.xml (HL7 aECG), made of the same ECG by another program; 2.5 uV each.
  test('agrees with the HL7 aECG file of the same ECG in every sample', async () => {
    const recording = await readRecording(dataPath('format_zoo/scp_ecg/ecgtoolkit_Example.scp'))

    expect(recording).toMatchObject({
      format: 'scp',
      rateHz: 500,
      startedAt: '2002-11-22T09:10:00.000Z',
      person: { sex: 'male', ageYears: 49 },
    })
    expect(fingerprints(recording)).toEqual([
      ['I', 2.5, [-2, -2, -2, -2, -3], -4921, '90036006005411ba'],
      ['II', 2.5, [-7, -7, -7, -7, -7], -4084, 'e091c1a3b1049fe5'],
      ['V1', 2.5, [43, 43, 43, 43, 43], -2299, '10c872d924c477ba'],
      ['V2', 2.5, [55, 53, 51, 49, 47], -2648, '1ade6969b920321e'],
      ['V3', 2.5, [40, 40, 40, 40, 39], -3119, '4d3194e3168157c0'],
      ['V4', 2.5, [28, 28, 28, 28, 28], -2499, 'b87d727fba4e99ca'],
      ['V5', 2.5, [23, 23, 23, 23, 22], -3009, '7ee0062f4756bab2'],
      ['V6', 2.5, [-9, -7, -5, -3, -1], -1762, '1d5336b6ca2bde3e'],
      ['III', 2.5, [-5, -5, -5, -5, -4], 837, 'f94f4b446b316528'],
      ['aVR', 2.5, [4, 4, 4, 4, 5], 4432, 'c5c48d518338947d'],
      ['aVL', 2.5, [1, 1, 1, 1, 0], -2721, 'b957e3cbe911545c'],
      ['aVF', 2.5, [-6, -6, -6, -6, -5], -1570, '99d3b647d4aa7538'],
    ])
  })
})
