import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording, readRecording, type SourceFile } from '../../../streams/formats/index.ts'
import { hasData, headersIn, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
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

describe('a WFDB record', () => {
  test.each([
    ['format 16', {}],
    ['format 16 with a baseline', { baseline: -37 }],
    ['format 212', { format: 212 }],
    ['format 212 with a baseline', { format: 212, baseline: 100 }],
    ['MATLAB v4', { mat: true }],
  ] as const)('in %s is read sample by sample', (_, options) => {
    const recording = parseRecording(writeWfdb(short, options))

    expect(recording).toMatchObject({ format: 'wfdb', rateHz: 250 })
    expect(samplesOf(recording)).toEqual(samplesOf(short))
  })

  test('of an odd number of samples in format 212 is read to its end', () => {
    const odd = { ...short, leads: [{ name: 'V2', gainUv: 5, samples: Int32Array.of(1, -2, 3) }] } as const

    const recording = parseRecording(writeWfdb(odd, { format: 212 }))

    expect(samplesOf(recording)).toEqual(samplesOf(odd))
  })

  test.each([16, 212] as const)('marks the invalid samples of format %i as missing', (format) => {
    const samples = Int32Array.of(5, MISSING_SAMPLE, -7, MISSING_SAMPLE)

    const recording = parseRecording(
      writeWfdb({ ...short, leads: [{ name: 'I', gainUv: 1, samples }] }, { format, baseline: 3 }),
    )

    expect(recording.leads[0]!.samples).toEqual(samples)
  })

  test('is recognised whatever its files are called and in whatever order they come', () => {
    const [header, signals] = writeWfdb(short)

    const recording = parseRecording([signals, { ...header, name: 'upload-1' }])

    expect(recording.leads).toHaveLength(12)
  })

  test('tells its start and the person, not the name', () => {
    const files = withHeader(
      '250 250\n',
      '250 250 08:27:38.5 16/01/1985\n# Age: 49\n#<sex>: F  <other>: x\n#Height: Unknown\n# Weight: 79\n',
    )

    const recording = parseRecording(files)

    expect(recording.startedAt).toBe('1985-01-16T08:27:38.500Z')
    expect(recording.person).toEqual({ ageYears: 49, sex: 'female', weightKg: 79 })
  })

  test.each(['12:33:59', '31/02/2020 10:00:00', '25:00:00 01/01/2020', 'soon'])(
    'has no start when it says %s',
    (when) => {
      const recording = parseRecording(withHeader('250 250\n', `250 250 ${when}\n`))

      expect(recording.startedAt).toBeUndefined()
    },
  )

  test.each(['#Age: 300', '#Age: NaN', '#Sex: Unknown', '#age at onset unknown'])(
    'knows no person from %s',
    (comment) => {
      const recording = parseRecording(withHeader('250 250\n', `250 250\n${comment}\n`))

      expect(recording.person).toBeUndefined()
    },
  )

  test('leaves out what is no standard lead, and does not miss its file', () => {
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
  ])('has its gain in %s', (_, gain, gainUv) => {
    const recording = parseRecording(withHeader('500(0)/mV', gain))

    expect(recording.leads[0]!.gainUv).toBe(gainUv)
  })
})

describe('a WFDB record is refused', () => {
  test.each([
    ['a lead of an unknown unit', '500(0)/mV', '500(0)/mmHg', 'unit-unknown'],
    ['a gain of zero: it is not calibrated', '500(0)/mV', '0(0)/mV', 'gain-invalid'],
    ['a negative gain', '500(0)/mV', '-500(0)/mV', 'gain-invalid'],
    ['a gain that is no number', '500(0)/mV', 'NaN/mV', 'payload-malformed'],
    ['a baseline beyond 32 bits', '500(0)/mV', '500(99999999999)/mV', 'payload-malformed'],
    ['a lead named twice', 'II\n', 'I\n', 'lead-duplicate'],
    ['a rate below 100 Hz', '12 250', '12 25', 'rate-unsupported'],
    ['a rate above 2000 Hz', '12 250', '12 1e9', 'rate-unsupported'],
    ['a rate that is no number', '12 250', '12 1e1e1', 'rate-unsupported'],
    ['a format that is not read', 'record.dat 16 ', 'record.dat 80 ', 'format-unsupported'],
    ['several samples a frame', 'record.dat 16 ', 'record.dat 16x2 ', 'format-unsupported'],
    ['skewed signals', 'record.dat 16 ', 'record.dat 16:3 ', 'format-unsupported'],
    ['several segments', 'record 12', 'record/3 12', 'format-unsupported'],
    ['two formats in one file', 'record.dat 16 ', 'record.dat 212 ', 'payload-malformed'],
    ['more signals than lines', 'record 12', 'record 13', 'payload-malformed'],
    ['more samples than its file holds', '250 250', '250 251', 'payload-malformed'],
    ['samples without end', '250 250', '250 99999999999', 'payload-too-large'],
    ['fewer signals than its file holds', 'record 12', 'record 11', 'payload-malformed'],
    ['a wrong checksum', / -?\d+ 0 I\n/, ' 4711 0 I\n', 'payload-malformed'],
    ['an offset behind the end of its file', 'record.dat 16 ', 'record.dat 16+99999999 ', 'payload-malformed'],
    ['a file that is not there', 'record.dat 16', 'other.dat 16', 'file-not-found'],
    ['a file in another folder', 'record.dat 16', '../record.dat 16', 'field-invalid'],
    ['a file by its full path', 'record.dat 16', '/etc/passwd 16', 'field-invalid'],
    ['a file on another Windows drive', 'record.dat 16', 'C:record.dat 16', 'field-invalid'],
    ['the standard input', 'record.dat 16', '- 16', 'field-invalid'],
  ])('for %s', (_, from, to, code) => {
    const error = codedError(() => parseRecording(withHeader(from, to)))

    expect(error.code).toBe(code)
    expect(error.detail.field ?? error.detail.line).toBeDefined()
  })

  test('for knowing no lead by name', () => {
    const unknown = withHeader(/ 0 (\S+)\n/g, ' 0 Fp$1\n')

    expect(codedError(() => parseRecording(unknown)).code).toBe('lead-unknown')
  })

  test('for a signal file that is cut off, naming the line of the lead', () => {
    const [header, signals] = writeWfdb(short)
    const cut = { ...signals, bytes: signals.bytes.subarray(0, -1) }

    expect(codedError(() => parseRecording([header, cut]))).toMatchObject({
      code: 'payload-malformed',
      detail: { line: 2, field: 'samples' },
    })
  })

  test('for an empty signal file', () => {
    const [header, signals] = writeWfdb(short)

    expect(codedError(() => parseRecording([header, { ...signals, bytes: new Uint8Array() }])).code).toBe(
      'payload-empty',
    )
  })

  test('without repeating a word of it in the message', () => {
    const error = codedError(() => parseRecording(withHeader('500(0)/mV', '500(0)/Jane-Doe')))

    expect(error.message).not.toContain('Jane')
  })
})

test('whatever befalls the bytes of a WFDB record, it is read or refused with a code', () => {
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
  ])('of %s are all read, and their checksums are right', async (folder, count) => {
    const recordings = await Promise.all(headersIn(folder).map((header) => readRecording(header)))

    expect(recordings).toHaveLength(count)
    expect(recordings.every(({ leads, rateHz }) => leads.length === 12 && rateHz === 500)).toBe(true)
  })

  test.each([
    ['s0010_re.dat', { rateHz: 1000, leads: 12, gainUv: 0.5 }],
    ['a103l.mat', { rateHz: 250, leads: 1, gainUv: 1000 / 7247 }],
  ])('by their signal file %s', async (file, { rateHz, leads, gainUv }) => {
    const [header] = headersIn('format_zoo/wfdb_python').filter((path) => path.includes(file.split('.')[0]!))

    const recording = await readRecording(header!.replace('.hea', file.slice(-4)))

    expect(recording.rateHz).toBe(rateHz)
    expect(recording.leads).toHaveLength(leads)
    expect(recording.leads[0]!.gainUv).toBeCloseTo(gainUv, 9)
  })
})
