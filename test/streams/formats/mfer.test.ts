import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording, readRecording, type SourceFile } from '../../../streams/formats/index.ts'
import { u8 } from '../../helpers/bytes.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { type MferOptions, tag, writeMfer } from '../../helpers/mfer-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const short = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 2 })
const two = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 2, leads: ['II', 'V5'] })

const read = (options?: MferOptions) => parseRecording([writeMfer(two, options)])

describe('the MFER reader', () => {
  test.each([
    {},
    { littleEndian: false },
    { blockLength: 1 },
    { blockLength: 100 },
    { dataType: 2 },
    { tags: { 6: undefined } },
  ] as const)('reads every sample of %o', (options) => {
    const recording = parseRecording([writeMfer(short, options)])

    expect(recording).toMatchObject({ format: 'mfer', rateHz: 250, startedAt: '2024-02-29T04:05:06.250Z' })
    expect(recording.person).toEqual({ sex: 'female', ageYears: 79 })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
    expect(JSON.stringify(recording)).not.toMatch(/Jane|4711/)
  })

  test('marks the null value as missing', () => {
    const samples = Int32Array.of(5, MISSING_SAMPLE, -7, MISSING_SAMPLE)
    const gappy = { ...two, leads: [{ name: 'I', gainUv: 1, samples }] } as const

    expect(parseRecording([writeMfer(gappy, { blockLength: 2 })]).leads[0]!.samples).toEqual(samples)
  })

  test('ignores channels that are not standard leads', () => {
    const { name, bytes } = writeMfer(two)
    const changed = Buffer.from(bytes)
    changed.writeUInt16LE(0xc00a, changed.indexOf(Buffer.from([0x09, 2, 2, 0])) + 2)

    expect(parseRecording([{ name, bytes: changed }]).leads.map((lead) => lead.name)).toEqual(['V5'])
  })

  test.each([
    ['250 Hz', [0, 0, 250]],
    ['4 ms', [1, 0xfd, 4]],
    ['4000 us', [1, 0xfa, 0xa0, 0x0f]],
  ])('reads the rate %s', (_, value) => {
    expect(read({ tags: { 11: u8(...value) } }).rateHz).toBe(250)
  })

  test('reads an age in years', () => {
    expect(read({ tags: { 131: u8(42, 0, 0) } }).person?.ageYears).toBe(42)
  })
})

test.each([u8(3), u8(255, 255, 255, 255)])(
  'the MFER reader accepts a sequence count above the number present',
  (count) => {
    const { leads, warnings } = read({ tags: { 6: count } })

    expect(leads).toEqual(read().leads)
    expect(warnings).toMatchObject([{ code: 'samples-left-out' }])
  },
)

describe('the MFER reader on invalid files', () => {
  test.each<[string, MferOptions, string]>([
    ['no sequences', { tags: { 6: u8(0) } }, 'payload-empty'],
    ['no waveform', { tags: { 30: undefined } }, 'payload-empty'],
    ['no channel count', { tags: { 5: undefined } }, 'payload-malformed'],
    ['a thousand channels', { tags: { 5: u8(232, 3) } }, 'payload-malformed'],
    ['more channels than it holds', { tags: { 5: u8(3) } }, 'payload-malformed'],
    ['no channel', { tags: { 5: u8(0) } }, 'payload-malformed'],
    ['an enormous block', { channel: [tag(0x04, u8(255, 255, 255, 255))] }, 'payload-too-large'],
    ['a block of zero length', { channel: [tag(0x04, u8(0))] }, 'payload-empty'],
    ['no standard lead', { channel: [tag(0x09, u8(0, 0xc0))] }, 'lead-unknown'],
    ['a duplicate lead', { channel: [tag(0x09, u8(1))] }, 'lead-duplicate'],
    ['a unit of pressure', { channel: [tag(0x0c, u8(1, 0, 1))] }, 'unit-unknown'],
    ['a step of zero', { channel: [tag(0x0c, u8(0, 0xfa, 0))] }, 'gain-invalid'],
    ['no rate', { tags: { 11: undefined } }, 'rate-unsupported'],
    ['a rate of zero', { tags: { 11: u8(0, 0, 0) } }, 'rate-unsupported'],
    ['samples by distance', { tags: { 11: u8(2, 0, 1) } }, 'rate-unsupported'],
    ['compressed samples', { channel: [tag(0x0e, u8(1, 0))] }, 'format-unsupported'],
    ['an offset', { channel: [tag(0x0d, u8(1, 0))] }, 'format-unsupported'],
    ['fractions', { channel: [tag(0x0a, u8(7))] }, 'format-unsupported'],
    ['an unknown type', { channel: [tag(0x0a, u8(77))] }, 'format-unsupported'],
    ['a truncated time', { tags: { 133: u8(232, 7, 1) } }, 'payload-malformed'],
  ])('refuses a file with %s', (_, options, code) => {
    expect(codedError(() => read(options)).code).toBe(code)
  })

  /** The file with more tags before its end. */
  function withTags(tags: readonly number[]): SourceFile {
    const { name, bytes } = writeMfer(two)
    return { name, bytes: Buffer.concat([bytes.subarray(0, -1), Buffer.from(tags)]) }
  }

  test.each([
    ['two waveforms', [0x1e, 1, 0], 'format-unsupported'],
    ['leads of several rates', [0x3f, 1, 5, 0x0b, 3, 1, 0xfd, 2], 'format-unsupported'],
    ['a tag longer than the file', [0x0d, 0x84, 255, 255, 255, 255], 'payload-malformed'],
    ['a tag without a length', [0x1e, 0x80], 'payload-malformed'],
    ['a length of too many bytes', [0x1e, 0x89], 'payload-malformed'],
    ['endless tags', Array<number>(300_000).fill(0), 'payload-malformed'],
    ['an endless channel number', [0x3f, 255, 255, 255], 'payload-malformed'],
  ])('refuses a file with %s', (_, tags, code) => {
    expect(codedError(() => parseRecording([withTags(tags)])).code).toBe(code)
  })
})

test('the MFER reader reads a mutated file or refuses it with a code', () => {
  const { name, bytes } = writeMfer(two)
  // The first 250 bytes are all that is not a sample.
  const damage = fc.array(fc.tuple(fc.nat(250), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })

  fc.assert(
    fc.property(damage, fc.nat(bytes.length), (changes, cut) => {
      const changed = Buffer.from(bytes)
      for (const [at, value] of changes) changed[at] = value

      let outcome: unknown
      try {
        outcome = parseRecording([{ name, bytes: changed.subarray(0, bytes.length - (cut % 2 ? cut : 0)) }], {
          format: 'mfer',
        }).leads.length
      } catch (error) {
        outcome = error
      }

      expect(typeof outcome === 'number' || outcome instanceof CodedError).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

describe.skipIf(!hasData)(`a real MFER file${NO_DATA}`, () => {
  const path = dataPath('format_zoo/mfer/test-file.MWF')

  test('is refused because its twelve minutes exceed the longest recording', async () => {
    await expect(readRecording(path)).rejects.toMatchObject({ code: 'payload-too-large', detail: { maxSeconds: 600 } })
  })

  // Read by its tags with NumPy as 12 blocks of a minute, 2 uV a step: 80 beats in the first, no step at the seams. biosig 2.5.0 has the
  // same first 3,750 samples of both leads, and then takes a block for 15 s.
  test('agrees with NumPy in its first ten minutes', () => {
    const bytes = readFileSync(path)
    const sequences = bytes.indexOf(Buffer.from([0x06, 2, 12, 0])) + 2
    bytes[sequences] = 10

    const recording = parseRecording([{ name: 'test-file.MWF', bytes }])

    expect(recording).toMatchObject({ format: 'mfer', rateHz: 250, startedAt: '2019-06-19T13:20:00.000Z' })
    expect(recording.person).toBeUndefined()
    expect(fingerprints(recording)).toEqual([
      ['II', 2, [18, 15, 8, 3, 0], -36981, '3188a8022157c873'],
      ['V5', 2, [41, 30, 18, 6, -3], -50584, '08298c824ca181ca'],
    ])
  })
})
