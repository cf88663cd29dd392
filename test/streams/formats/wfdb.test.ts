import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording, readRecording, type SourceFile } from '../../../streams/formats/index.ts'
import { LAYOUTS, readSignal } from '../../../streams/formats/wfdb/signals.ts'
import { dataPath, hasData, headersIn, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeWfdb } from '../../helpers/wfdb-writer.ts'

const short = syntheticRecording({ seconds: 1, rateHz: 250, gainUv: 2 })

/** The record of `short` with a piece of its header replaced. */
function withHeader(from: string | RegExp, to: string): SourceFile[] {
  const [header, signals] = writeWfdb(short)
  return [{ ...header, bytes: Buffer.from(Buffer.from(header.bytes).toString().replace(from, to)) }, signals]
}

function samplesOf({ leads }: Recording) {
  return leads.map(({ name, gainUv, samples }) => [name, gainUv, [...samples]])
}

describe('the WFDB reader', () => {
  test.each([
    ['format 16', {}],
    ['format 16 with a baseline', { baseline: -37 }],
    ['format 212', { format: 212 }],
    ['format 212 with a baseline', { format: 212, baseline: 100 }],
    ['format 24', { format: 24 }],
    ['format 32 with a baseline', { format: 32, baseline: 1_000_000 }],
    ['format 61', { format: 61 }],
    ['format 160 with a baseline', { format: 160, baseline: -37 }],
    ['MATLAB v4', { mat: true }],
  ] as const)('reads every sample in %s', (_, options) => {
    const recording = parseRecording(writeWfdb(short, options))

    expect(recording).toMatchObject({ format: 'wfdb', rateHz: 250 })
    expect(samplesOf(recording)).toEqual(samplesOf(short))
  })

  test.each([310, 311] as const)('reads every sample in format %i, which has ten bits', (format) => {
    const coarse = syntheticRecording({ seconds: 1, rateHz: 250, gainUv: 5 })

    const recording = parseRecording(writeWfdb(coarse, { format }))

    expect(samplesOf(recording)).toEqual(samplesOf(coarse))
  })

  test.each([
    [212, 1],
    [212, 3],
    [310, 1],
    [310, 2],
    [310, 4],
    [311, 1],
    [311, 2],
    [311, 4],
  ] as const)('reads format %i with %i samples to its end', (format, count) => {
    const samples = Int32Array.of(1, -2, 3, -4).subarray(0, count)
    const few = { ...short, leads: [{ name: 'V2', gainUv: 5, samples }] } as const

    const recording = parseRecording(writeWfdb(few, { format }))

    expect(samplesOf(recording)).toEqual(samplesOf(few))
  })

  // Random bytes as wfdb-python 4.3.1 reads them (rdrecord, physical=False): two signals of one file.
  test.each([
    [
      16,
      '8b4ae5f1a94106a0956a26afbccdafe562f90a945f5693c6',
      [19083, 16809, 27285, -12868, -1694, 22111],
      [-3611, -24570, -20698, -6737, -27638, -14701],
    ],
    [
      24,
      '42276ad5ab2da7394551370e99b2d74c3427fa48d732a1df',
      [6956866, 4536743, -2641255, -2668294],
      [2993109, 931665, 2569292, -2121422],
    ],
    [
      32,
      '70aca1e926115901dd06f27f8f063cd25e19a621f9bd0ccc',
      [-375280528, 2146567901, 564533598],
      [22614310, -767818097, -871580167],
    ],
    [
      61,
      '21397c1ec795ca7748dc03d17a88934d85527357a2e64647',
      [8505, -14443, 18652, 31368, -31406, -23834],
      [31774, -13705, 977, -27827, 29527, 17991],
    ],
    [
      80,
      'f03e2fb81f223f4192c58efd5185f0711ef7677a1f132a81',
      [112, -81, -97, -65, 18, 14, -47, 112, -98, -25, -97, -86],
      [-66, 56, -94, -63, 69, 125, 5, -15, 119, -6, -109, 1],
    ],
    [
      160,
      '8d882195a100b28d6b236b82481bd9fe630dc3ce3be4ebca',
      [2189, -32607, -23701, -25784, -29341, 25659],
      [5409, 3506, 619, 32473, 20163, 19179],
    ],
    [
      212,
      'b72f45b35223479f6e794d57037e2cfde9e15a7789781e37',
      [-73, 691, -185, -647, -509, -1539, 1882, -392],
      [581, 1315, -1682, 1111, 1836, -287, 1929, 311],
    ],
    [
      310,
      '21a557d8e5a703296dcb81db3f65cf9c1bdc5d1d8fc83f0b',
      [-368, -140, 129, 438, -135, -409, -499, 123, 415],
      [43, -14, 180, 448, -353, -404, -338, 71, 57],
    ],
    [
      311,
      'f46334388274b4137993083cda2cbe3ce57b102d94089711',
      [-12, -125, 285, -135, -64, -117, -27, -303, 450],
      [280, 130, 315, -476, 218, -53, 30, 148, 281],
    ],
  ])('agrees with wfdb-python in format %i', (format, hex, first, second) => {
    const sum = (samples: readonly number[]) => (samples.reduce((a, b) => a + b) << 16) >> 16
    const line = (name: string, samples: readonly number[]) => `r.dat ${format} 200 16 0 0 ${sum(samples)} 0 ${name}`
    const header = ['r 2 500', line('II', first), line('V1', second)].join('\n')
    const files = [
      { name: 'r.hea', bytes: Buffer.from(header) },
      { name: 'r.dat', bytes: Buffer.from(hex, 'hex') },
    ]

    expect(parseRecording(files).leads.map(({ samples }) => [...samples])).toEqual([first, second])
  })

  test.each([16, 24, 32, 61, 80, 160, 212, 310, 311] as const)(
    'marks invalid samples of format %i as missing',
    (format) => {
      const samples = Int32Array.of(5, MISSING_SAMPLE, -7, MISSING_SAMPLE)

      const recording = parseRecording(
        writeWfdb({ ...short, leads: [{ name: 'I', gainUv: 1, samples }] }, { format, baseline: 3 }),
      )

      expect(recording.leads[0]!.samples).toEqual(samples)
    },
  )

  test('accepts any file names in any order', () => {
    const [header, signals] = writeWfdb(short)

    const recording = parseRecording([signals, { ...header, name: 'upload-1' }])

    expect(recording.leads).toHaveLength(12)
  })

  test('gives the start and the person, but no name', () => {
    const files = withHeader(
      '250 250\n',
      '250 250 08:27:38.5 16/01/1985\n# Age: 49\n#<sex>: F  <other>: x\n#Height: Unknown\n# Weight: 79\n',
    )

    const recording = parseRecording(files)

    expect(recording.startedAt).toBe('1985-01-16T08:27:38.500Z')
    expect(recording.person).toEqual({ ageYears: 49, sex: 'female', weightKg: 79 })
  })

  test.each(['12:33:59', '31/02/2020 10:00:00', '25:00:00 01/01/2020', 'soon'])('gives no start for %s', (when) => {
    const recording = parseRecording(withHeader('250 250\n', `250 250 ${when}\n`))

    expect(recording.startedAt).toBeUndefined()
  })

  test.each(['#Age: 300', '#Age: NaN', '#Sex: Unknown', '#age at onset unknown'])(
    'gives no person for %s',
    (comment) => {
      const recording = parseRecording(withHeader('250 250\n', `250 250\n${comment}\n`))

      expect(recording.person).toBeUndefined()
    },
  )

  test('ignores signals that are not standard leads, and does not need their file', () => {
    const files = withHeader(/record\.dat (.*) V6\n/, 'frank.xyz $1 vx\n').map((file) =>
      file.name === 'record.dat'
        ? { ...file, bytes: writeWfdb({ ...short, leads: short.leads.slice(0, 11) })[1].bytes }
        : file,
    )

    const recording = parseRecording(files)

    expect(recording.leads.map(({ name }) => name)).not.toContain('V6')
    expect(recording.leads).toHaveLength(11)
  })

  test.each([
    ['microvolts', '0.5/uV', 2],
    ['volts', '1000/V', 1000],
    ['millivolts by default', '250', 4],
  ])('reads a gain in %s', (_, gain, gainUv) => {
    const recording = parseRecording(withHeader('500(0)/mV', gain))

    expect(recording.leads[0]!.gainUv).toBe(gainUv)
  })
})

describe('the WFDB reader on damaged files', () => {
  test.each([
    ['an unknown unit', '500(0)/mV', '500(0)/mmHg', 'unit-unknown'],
    ['a gain of zero (uncalibrated)', '500(0)/mV', '0(0)/mV', 'gain-invalid'],
    ['a negative gain', '500(0)/mV', '-500(0)/mV', 'gain-invalid'],
    ['a baseline that overflows 32 bits', '500(0)/mV', '500(-2147483648)/mV', 'sample-invalid'],
    ['a time skew', 'record.dat 16 ', 'record.dat 16:3 ', 'format-unsupported'],
  ])('leaves out a lead with %s and reports it; refuses a record of only such leads', (_, from, to, code) => {
    const recording = parseRecording(withHeader(from, to))

    expect(recording.leads.map(({ name }) => name)).toEqual(LEADS.slice(1))
    expect(recording.warnings).toEqual([{ code: 'lead-left-out', leads: ['I'] }])
    expect(codedError(() => parseRecording(withHeader(new RegExp(RegExp.escape(from), 'g'), to))).code).toBe(code)
  })

  test.each(['0', '4711'])('reports the wrong checksum %s', (sum) => {
    const recording = parseRecording(withHeader(/ -?\d+ 0 I\n/, ` ${sum} 0 I\n`))

    expect(samplesOf(recording)).toEqual(samplesOf(short))
    expect(recording.warnings).toEqual([{ code: 'checksum-mismatch', field: 'header', leads: ['I'] }])
  })

  test.each(['251', '99999999999'])(
    'reads the samples present when the header counts %s, and reports the rest as missing',
    (count) => {
      const recording = parseRecording(withHeader('250 250', `250 ${count}`))

      expect(samplesOf(recording)).toEqual(samplesOf(short))
      expect(recording.warnings).toEqual([{ code: 'samples-left-out', field: 'sample 250' }])
    },
  )

  test('reads a truncated file up to the last sample of all leads', () => {
    const [header, signals] = writeWfdb(short)

    const recording = parseRecording([header, { ...signals, bytes: signals.bytes.subarray(0, -1) }])

    expect(recording.leads[11]!.samples).toEqual(short.leads[11]!.samples.subarray(0, 249))
  })

  test('accepts a record name with the file’s extension', () => {
    const recording = parseRecording(withHeader('record 12', 'record.mat 12'))

    expect(samplesOf(recording)).toEqual(samplesOf(short))
  })
})

describe('the WFDB reader on invalid files', () => {
  test.each([
    ['a gain that is not a number', '500(0)/mV', 'NaN/mV', 'payload-malformed'],
    ['a baseline beyond 32 bits', '500(0)/mV', '500(99999999999)/mV', 'payload-malformed'],
    ['a lead named twice', 'II\n', 'I\n', 'lead-duplicate'],
    ['a rate below 100 Hz', '12 250', '12 25', 'rate-unsupported'],
    ['a rate above 2000 Hz', '12 250', '12 1e9', 'rate-unsupported'],
    ['a rate that is not a number', '12 250', '12 1e1e1', 'rate-unsupported'],
    ['an unsupported format', 'record.dat 16 ', 'record.dat 8 ', 'format-unsupported'],
    ['several samples per frame', 'record.dat 16 ', 'record.dat 16x2 ', 'format-unsupported'],
    ['several segments', 'record 12', 'record/3 12', 'format-unsupported'],
    ['two formats in one file', 'record.dat 16 ', 'record.dat 212 ', 'payload-malformed'],
    ['more signals than lines', 'record 12', 'record 13', 'payload-malformed'],
    ['fewer signals than its file holds', 'record 12', 'record 11', 'payload-malformed'],
    ['an offset past the end of its file', 'record.dat 16 ', 'record.dat 16+99999999 ', 'payload-malformed'],
    ['a missing file', 'record.dat 16', 'other.dat 16', 'file-not-found'],
    ['a file in another folder', 'record.dat 16', '../record.dat 16', 'field-invalid'],
    ['a file by its full path', 'record.dat 16', '/etc/passwd 16', 'field-invalid'],
    ['a file on another Windows drive', 'record.dat 16', 'C:record.dat 16', 'field-invalid'],
    ['standard input', 'record.dat 16', '- 16', 'field-invalid'],
  ])('refuses a record with %s', (_, from, to, code) => {
    const error = codedError(() => parseRecording(withHeader(from, to)))

    expect(error.code).toBe(code)
    expect(error.detail.field ?? error.detail.line).toBeDefined()
  })

  test('refuses a record without a known lead', () => {
    const unknown = withHeader(/ 0 (\S+)\n/g, ' 0 Fp$1\n')

    expect(codedError(() => parseRecording(unknown)).code).toBe('lead-unknown')
  })

  test('refuses an empty signal file', () => {
    const [header, signals] = writeWfdb(short)

    expect(codedError(() => parseRecording([header, { ...signals, bytes: new Uint8Array() }])).code).toBe(
      'payload-empty',
    )
  })

  test('repeats no word of the record in the error message', () => {
    const error = codedError(() => parseRecording(withHeader(/500\(0\)\/mV/g, '500(0)/Jane-Doe')))

    expect(error.message).not.toContain('Jane')
  })
})

test('the WFDB reader reads a mutated record or refuses it with a code', () => {
  const [header, signals] = writeWfdb(syntheticRecording({ seconds: 0.1, leads: ['I', 'II', 'V1'] }), { format: 212 })
  const damage = fc.array(fc.tuple(fc.nat(header.bytes.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })

  fc.assert(
    fc.property(damage, fc.nat(signals.bytes.length), (changes, cut) => {
      const bytes = Buffer.from(header.bytes)
      for (const [at, value] of changes) bytes[at] = value

      let outcome: unknown
      try {
        outcome = parseRecording([
          { ...header, bytes },
          { ...signals, bytes: signals.bytes.subarray(0, signals.bytes.length - cut) },
        ]).leads.length
      } catch (error) {
        outcome = error
      }

      expect(typeof outcome === 'number' || outcome instanceof CodedError).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

describe.skipIf(!hasData)(`real WFDB records${NO_DATA}`, () => {
  test.each([
    ['ptbxl500', 85],
    ['cinc2021', 101],
    ['ludb/data', 200],
  ])('are all read from %s with matching checksums', async (folder, count) => {
    const recordings = await Promise.all(headersIn(folder).map((header) => readRecording(header)))

    expect(recordings).toHaveLength(count)
    expect(recordings.every(({ leads, rateHz }) => leads.length === 12 && rateHz === 500)).toBe(true)
  })

  test.each([
    ['s0010_re.dat', { rateHz: 1000, leads: 12, gainUv: 0.5 }],
    ['a103l.mat', { rateHz: 250, leads: 1, gainUv: 1000 / 7247 }],
  ])('are read by their signal file %s', async (file, { rateHz, leads, gainUv }) => {
    const [header] = headersIn('format_zoo/wfdb_python').filter((path) => path.includes(file.split('.')[0]!))

    const recording = await readRecording(header!.replace('.hea', file.slice(-4)))

    expect(recording.rateHz).toBe(rateHz)
    expect(recording.leads).toHaveLength(leads)
    expect(recording.leads[0]!.gainUv).toBeCloseTo(gainUv, 9)
  })
  test('are read by their unused Frank-lead file (s0010_re)', async () => {
    const recording = await readRecording(dataPath('format_zoo/wfdb_python/s0010_re.xyz'))

    expect(recording.leads.map(({ name }) => name)).toEqual(LEADS)
  })

  // wfdb-python 4.3.1: rdrecord(physical=False).d_signal less the baseline
  test('agree with wfdb-python in every sample (muse-af)', async () => {
    const recording = await readRecording(dataPath('format_zoo/wfdb_from_muse/muse-af.hea'))

    expect(recording).toMatchObject({
      rateHz: 500,
      startedAt: '2010-01-04T11:10:04.000Z',
      person: { sex: 'female', ageYears: 71 },
    })
    expect(fingerprints(recording)).toEqual([
      ['I', 5, [-44, -44, -44, -44, -54], -12237, '0d783d55fa36cbb0'],
      ['II', 5, [-49, -49, -49, -49, -49], -21773, '97ffd206adda1cea'],
      ['III', 5, [-5, -5, -5, -5, 5], -9319, 'dc9eb784d6d57f80'],
      ['aVF', 5, [-27, -27, -27, -27, -22], -15645, '67c77f1a2328a2ab'],
      ['aVL', 5, [-20, -20, -20, -20, -29], -1271, '3d33af1f5a0afd50'],
      ['aVR', 5, [46, 46, 46, 46, 51], 16841, '7f84533a2816be89'],
      ['V1', 5, [54, 54, 54, 54, 44], -30868, '8e998017440ba296'],
      ['V2', 5, [59, 59, 63, 63, 73], -56698, 'eca18b754993553a'],
      ['V3', 5, [-54, -59, -59, -54, -54], -144955, '16822a2bc2f84939'],
      ['V4', 5, [-122, -122, -122, -122, -122], -217518, 'b698f477aa59e055'],
      ['V5', 5, [-78, -78, -73, -73, -63], -85685, '5a30c0352d938ffd'],
      ['V6', 5, [-68, -68, -68, -68, -63], -78565, 'ef90f9449169ed7a'],
    ])
  })

  test.each([
    ['s0010_re', 'II', 0.5, [-458, -467, -469, -458, -454], -16369, '90594c6cbd975980'],
    ['s0010_re', 'aVL', 0.5, [-260, -251, -248, -252, -236], 11687, 'da4f521a43b59563'],
    ['s0010_re', 'V6', 0.5, [390, 396, 393, 394, 397], -17545, 'bd4de6f8cfa6e7ed'],
    ['a103l', 'II', 1000 / 7247, [-171, -268, -456, -670, -685], -13855499, '8c57d30f5d3f6999'],
  ] as const)('agree with wfdb-python: %s, lead %s', async (record, lead, ...expected) => {
    const recording = await readRecording(dataPath(`format_zoo/wfdb_python/${record}.hea`))

    expect(fingerprints(recording).find(([name]) => name === lead)).toEqual([lead, ...expected])
  })

  test('are refused beyond the longest recording, after agreeing with wfdb-python (MIT-BIH 100)', async () => {
    const samples = new Int32Array(650_000)

    readSignal(LAYOUTS.get(212)!, readFileSync(dataPath('format_zoo/wfdb_python/100.dat')), 1, 2, 1024, samples)

    expect(fingerprints({ format: '', rateHz: 360, leads: [{ name: 'V5', gainUv: 5, samples }] })).toEqual([
      ['V5', 5, [-13, -13, -13, -13, -13], -24834476, '89fa5480f176a4f1'],
    ])
    await expect(readRecording(dataPath('format_zoo/wfdb_python/100.hea'))).rejects.toMatchObject({
      code: 'payload-too-large',
      detail: { maxSeconds: 600 },
    })
  })
})
