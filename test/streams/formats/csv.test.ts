import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording, type ReadOptions, readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'

const parse = (text: string, options?: ReadOptions) =>
  parseRecording([{ name: 'upload', bytes: Buffer.from(text) }], options)

describe('the CSV reader', () => {
  test('finds leads by name, in any order and case, and ignores other columns', () => {
    const { leads } = parse('# rate: 500\n# unit: mV\nv1,Resp,Lead II,avr\n0.1,7,0.2,0.3\n-0.1,8,-0.2,-0.3\n')

    expect(leads.map(({ name, samples }) => [name, ...samples])).toEqual([
      ['V1', 100, -100],
      ['II', 200, -200],
      ['aVR', 300, -300],
    ])
  })

  test.each([
    ['parentheses after the lead name', 'II (mV)\n1', 1000],
    ['square brackets', 'II [uV]\n1', 1],
    ['an underscore suffix', 'II_mv\n1', 1000],
    ['a slash suffix', 'II/µV\n1', 1],
    ['a line above the header row', '# unit: µV\nII\n1', 1],
    ['a line that states volts', 'unit: V\nII\n1', 1e6],
    ['the lead name rather than the line', '# unit: mV\nII (uV)\n1', 1],
  ])('takes the unit from %s', (_, text, uv) => {
    const [lead] = parse(`rate: 250\n${text}\n`).leads

    expect(lead!.samples[0]! * lead!.gainUv).toBeCloseTo(uv)
  })

  test('takes rate and unit from the caller when the file states neither', () => {
    const recording = parse('II\n0.5\n', { rateHz: 360, unit: 'mV' })

    expect(recording.rateHz).toBe(360)
    expect(recording.leads[0]!.samples[0]).toBe(500)
  })

  test('applies the gain that a file of raw values states', () => {
    const [lead] = parse('Sampling Rate (Hz): 500\nGain (digit/millivolt): 2048 \nI,II\n50,-100\n').leads

    expect(lead).toEqual({ name: 'I', gainUv: 1000 / 2048, samples: Int32Array.of(50) })
  })

  test.each([
    ['204,8', 1000 / 204.8],
    ['204.8', 1000 / 204.8],
    ['1000', 1],
  ])('reads a gain written as %s', (gain, gainUv) => {
    expect(parse(`rate: 500,0\ngain: ${gain}\nI,II\n50,-100\n`).leads[0]!.gainUv).toBeCloseTo(gainUv, 12)
  })

  test('refuses an ambiguous gain', () => {
    expect(codedError(() => parse('rate: 500\ngain: 2,048\nI,II\n50,-100\n')).code).toBe('gain-invalid')
    expect(codedError(() => parse('rate: 1,000\ngain: 2048\nI,II\n50,-100\n')).code).toBe('rate-unsupported')
  })

  test.each([
    ['whole microvolts', '1\n-250', 1, [1, -250]],
    ['tenths of a microvolt', '0.1\n-250', 0.1, [1, -2500]],
    ['values with binary rounding', '0.30000000000000004\n1', 0.1, [3, 10]],
    ['values to a nanovolt', '0.12345678\n1', 0.001, [123, 1000]],
    ['values too large for fine steps', '0.001\n3000000', 0.01, [0, 300_000_000]],
  ])('preserves %s', (_, rows, gainUv, samples) => {
    const [lead] = parse(`# rate: 500\nII (uV)\n${rows}\n`).leads

    expect(lead!.gainUv).toBe(gainUv)
    expect([...lead!.samples]).toEqual(samples)
  })

  test('marks empty cells and NaN as missing', () => {
    const { leads } = parse('# rate: 500\n# unit: uV\nI,II\n1,\nNaN,2\n nan ,3\n')

    expect(leads.map(({ samples }) => [...samples])).toEqual([
      [1, MISSING_SAMPLE, MISSING_SAMPLE],
      [MISSING_SAMPLE, 2, 3],
    ])
  })

  test.each([
    ['semicolons and decimal commas', 'I;II\r\n0,5;-0,25\r\n'],
    ['tabs', 'I\tII\n0.5\t-0.25\n'],
    ['quotation marks', '"I","II"\n"0.5","-0.25"\n'],
    ['a byte order mark', '\uFEFFI,II\n0.5,-0.25\n'],
    ['exponents', 'I,II\n5e-1,-2.5E-1\n'],
  ])('accepts %s', (_, text) => {
    const { leads } = parse(text, { rateHz: 500, unit: 'mV' })

    expect(leads.map(({ samples }) => samples[0])).toEqual([500, -250])
  })

  test.each([
    ['seconds', 'time', 1, 500],
    ['seconds, as labelled', 'time (s)', 1, 360],
    ['milliseconds', 'time_ms', 1000, 250],
    ['rounded milliseconds', 't [ms]', 1000, 360],
  ])('takes the rate from a column of %s', (_, header, perSecond, rateHz) => {
    const rows = Array.from({ length: 10 * rateHz }, (_, i) => {
      const time = 1e4 + (perSecond * i) / rateHz
      return `${perSecond === 1000 ? Math.round(time) : time},0.1`
    })

    const recording = parse(`${header},II (mV)\n${rows.join('\n')}\n`)

    expect(recording.rateHz).toBe(rateHz)
  })
})

describe('the CSV reader on invalid files', () => {
  const rateAndUnit = '# rate: 500\n# unit: mV\n'

  test.each([
    ['a header without a known lead', 'foo,bar\n1,2\n', 'lead-unknown', { field: 'header' }],
    ['a lead named twice', `${rateAndUnit}II,v1,Lead II\n1,2,3\n`, 'lead-duplicate', { column: 3, lead: 'II' }],
    ['no unit', '# rate: 500\nII\n1\n', 'unit-unknown', { field: 'unit', column: 1 }],
    ['an unknown unit', '# rate: 500\nII (mmHg)\n1\n', 'unit-unknown', { field: 'unit' }],
    ['no rate', 'II (mV)\n1\n', 'field-invalid', { field: 'rate' }],
    ['a rate out of range', '# rate: 50\nII (mV)\n1\n', 'rate-unsupported', { field: 'rateHz' }],
    ['a rate that is not a number', '# rate: fast\nII (mV)\n1\n', 'rate-unsupported', { field: 'rateHz' }],
    ['a gain of zero', '# rate: 500\n# gain: 0\nII\n1\n', 'gain-invalid', { field: 'gain' }],
    ['text among the samples', `${rateAndUnit}I,II\n1,2\n1,two\n`, 'sample-invalid', { line: 5, column: 2 }],
    ['an infinite sample', `${rateAndUnit}I,II\n1,Infinity\n`, 'sample-invalid', { line: 4, column: 2 }],
    ['a hexadecimal sample', `${rateAndUnit}I,II\n1,0x10\n`, 'sample-invalid', { line: 4, column: 2 }],
    ['a sample beyond 32 bits', `${rateAndUnit}I,II\n1,1e9\n`, 'sample-invalid', { line: 4, column: 2 }],
    [
      'a row that is too short',
      `${rateAndUnit}I,II\n1,2\n1\n1,2\n`,
      'payload-malformed',
      { line: 5, field: 'columns' },
    ],
    [
      'times that go backwards',
      'time,II (mV)\n0,1\n0.002,1\n0.004,1\n0,1\n',
      'field-invalid',
      { field: 'time', line: 5 },
    ],
    ['a gap of an hour', 'time,II (mV)\n0,1\n0.002,1\n0.004,1\n3600,1\n', 'field-invalid', { field: 'time', line: 5 }],
    ['times that stand still', 'time,II (mV)\n1,1\n1,1\n', 'field-invalid', { field: 'time' }],
    ['a missing time', 'time,II (mV)\n0,1\n,1\n0.004,1\n', 'field-invalid', { field: 'time', line: 3 }],
    ['an end before the first sample', 'I,II\n', 'format-unknown', { field: 'file' }],
  ])('refuses a file with %s', (_, text, code, detail) => {
    expect(codedError(() => parse(text))).toMatchObject({ code, detail })
  })

  test('refuses a file without samples when --format says CSV', () => {
    expect(codedError(() => parse('I,II\n', { format: 'csv' })).code).toBe('payload-empty')
  })

  test('refuses a recording beyond the maximum length', () => {
    const rows = 'II\n'.concat('1\n'.repeat(100 * 601))

    expect(codedError(() => parse(rows, { rateHz: 100, unit: 'uV' })).code).toBe('payload-too-large')
  })
})

test('the CSV reader reads a mutated file or refuses it with a code', () => {
  const text = Buffer.from('# rate: 500\n# unit: mV\ntime,I,II,V1\n0,1,2,3\n0.002,1,,3\n0.004,1,NaN,3\n')

  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      (changes) => {
        const bytes = Buffer.from(text)
        for (const [at, value] of changes) bytes[at] = value

        let outcome: unknown
        try {
          outcome = parseRecording([{ name: 'x', bytes }], { format: 'csv' }).leads.length
        } catch (error) {
          outcome = error
        }

        expect(typeof outcome === 'number' || outcome instanceof CodedError).toBe(true)
      },
    ),
    { numRuns: 500 },
  )
})

describe.skipIf(!hasData)(`a real CSV file${NO_DATA}`, () => {
  test('is read in raw values', async () => {
    const recording = await readRecording(dataPath('format_zoo/csv/ECG_12L.csv'))

    expect(recording).toMatchObject({ format: 'csv', rateHz: 500 })
    expect(recording.leads).toHaveLength(12)
    expect(recording.leads[0]).toMatchObject({ name: 'I', gainUv: 1000 / 2048 })
    expect([...recording.leads[0]!.samples.subarray(0, 3)]).toEqual([50, 40, 30])
  })

  test('is refused without a lead name', async () => {
    await expect(readRecording(dataPath('format_zoo/movesense/MeasECGmV.csv'))).rejects.toMatchObject({
      code: 'lead-unknown',
    })
  })
})

describe('the CSV reader on oversized files', () => {
  test.each([
    ['rows', `rate: 2000\nunit: mV\nII\n${'1\n'.repeat(1_200_001)}`, { field: 'rows' }],
    ['lines', `rate: 2000\nunit: mV\nII\n${'\n'.repeat(1_300_000)}`, { field: 'rows' }],
    ['columns', `rate: 2000\nunit: mV\nII${',x'.repeat(64)}\n1${',1'.repeat(64)}\n`, { field: 'columns' }],
  ])('refuses too many %s', (_, text, detail) => {
    expect(codedError(() => parse(text, { format: 'csv' }))).toMatchObject({ code: 'payload-too-large', detail })
  })

  test('refuses too many bytes', () => {
    const bytes = Buffer.alloc(32 * 1024 * 1024 + 1, 'II\n1\n')

    expect(codedError(() => parseRecording([{ name: 'x', bytes }])).code).toBe('payload-too-large')
  })
})

describe('the CSV reader on Movesense files', () => {
  /** Packets of four samples every 20 ms, stamped a millisecond apart. */
  const movesense = (packets: readonly number[], name = 'MeasECGmV.csv', options: ReadOptions = { lead: 'I' }) => {
    const rows = packets.flatMap((packet) => [0, 1, 2, 3].map((i) => `${packet * 20 + i},0.00${i}`))
    return parseRecording([{ name, bytes: Buffer.from(`Timestamp,Value\n${rows.join('\n')}\n`) }], options)
  }

  test('takes the rate from the packets, the unit from the file name and the lead from the caller', () => {
    expect(movesense([5, 6, 7])).toEqual({
      format: 'csv',
      rateHz: 200,
      leads: [{ name: 'I', gainUv: 1, samples: Int32Array.of(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3) }],
    })
  })

  test('finds no lead and no unit in the file itself', () => {
    expect(codedError(() => movesense([5, 6], 'MeasECGmV.csv', {})).code).toBe('lead-unknown')
    expect(codedError(() => movesense([5, 6], 'MeasECG.csv')).code).toBe('unit-unknown')
    expect(movesense([5, 6], 'MeasECG.csv', { lead: 'V1', unit: 'uV' }).leads[0]).toMatchObject({
      name: 'V1',
      gainUv: 0.001,
    })
  })

  test('refuses a file with a lost packet', () => {
    expect(codedError(() => movesense([0, 1, 2, 5, 6, 7])).detail).toMatchObject({ field: 'time' })
  })

  test.each([
    ['packets of different lengths', '0,1\n1,1\n20,1\n21,1\n22,1\n40,1', 'field-invalid'],
    ['one sample', '0,1', 'field-invalid'],
    ['times that stand still', '5,1\n5,1\n5,1', 'field-invalid'],
  ])('refuses a file with %s', (_, rows, code) => {
    const bytes = Buffer.from(`Timestamp,Value\n${rows}\n`)

    expect(codedError(() => parseRecording([{ name: 'x', bytes }], { lead: 'I', unit: 'mV' })).code).toBe(code)
  })
})
