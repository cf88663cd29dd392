import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { parseRecording, type ReadOptions } from '../../../streams/formats/index.ts'
import { codedError } from '../../helpers/errors.ts'

const bytesOf = (bytes: Uint8Array, options: ReadOptions = {}) => parseRecording([{ name: 'upload', bytes }], options)
const read = (text: string, options?: ReadOptions) => bytesOf(Buffer.from(text), options)
const stated: ReadOptions = { rateHz: 250, unit: 'uV' }

/** By lead, microvolts; null where a sample is missing. */
function microvolts({ leads }: ReturnType<typeof read>) {
  return Object.fromEntries(
    leads.map(({ name, gainUv, samples }) => [
      name,
      Array.from(samples, (sample) => (sample === MISSING_SAMPLE ? null : Number((sample * gainUv).toFixed(6)))),
    ]),
  )
}

describe('the CSV reader', () => {
  test.each<[string, string, Record<string, (number | null)[]>]>([
    ['text before the header', 'Report of a study\nmade by hand\n\nI,II\n1,2\n3,4\n', { I: [1, 3], II: [2, 4] }],
    ['a row of units', 'I,II\nmV,uV\n1,2\n3,4\n', { I: [1, 3], II: [2, 4] }],
    ['a ruled line below the header', 'I;II\n---;---\n1;2\n', { I: [1], II: [2] }],
    ['quoted decimal commas', '"I","II"\n"0,5","-1,25"\n', { I: [0.5], II: [-1.25] }],
    ['a quoted cell with the delimiter and a line end', 'I,remark\n1,"a, b\nc"\n2,"say ""x"""\n', { I: [1, 2] }],
    ['single quotation marks', "'I','II'\n'1','2'\n", { I: [1], II: [2] }],
    ['spaces around quotation marks', '"I" , "II"\n1 , 2\n', { I: [1], II: [2] }],
    [
      'words for missing values',
      'I,II\nNA,null\nn/a,-\n#N/A,NaN\n1,2\n',
      { I: [null, null, null, 1], II: [null, null, null, 2] },
    ],
    ['blank first rows', 'I,II\n,\n\n,\n1,2\n', { I: [null, null, 1], II: [null, null, 2] }],
    ['vertical bars as delimiters', 'I|II\n1|2\n', { I: [1], II: [2] }],
    [
      'spaces as NumPy writes them',
      '# I II V1\n1.0e+00 2.0e+00  -3.0e+00\n 4 5 6\n',
      { I: [1, 4], II: [2, 5], V1: [-3, 6] },
    ],
    ['a trailing delimiter on each line', 'I;II;\n1;2;\n3;4;\n', { I: [1, 3], II: [2, 4] }],
    ['Excel’s sep= line', 'sep=;\nI;II\n0,5;1\n', { I: [0.5], II: [1] }],
    ['digit grouping', 'I;II\n1.234,5;2\n', { I: [1234.5], II: [2] }],
    ['a typographic minus', 'I,II\n\u22121,2\n', { I: [-1], II: [2] }],
    ['unrelated columns of text and numbers', 'beat,I,event,n\n1,5,N,2\n1,6,,3\n', { I: [5, 6] }],
    ['carriage returns as line ends', 'I,II\r1,2\r3,4\r', { I: [1, 3], II: [2, 4] }],
  ])('accepts %s', (_, text, expected) => {
    expect(microvolts(read(text, stated))).toEqual(expected)
  })

  const heading = 'I (\u00b5V);II (\u00b5V)\r\n1;2\r\n'
  test.each<[string, Uint8Array]>([
    ['Windows-1252', Buffer.from(heading, 'latin1')],
    ['UTF-16 with a byte order mark, as Excel writes Unicode text', Buffer.from(`\uFEFF${heading}`, 'utf16le')],
    ['UTF-16 without a byte order mark', Buffer.from(heading, 'utf16le')],
    ['UTF-16, big-endian', Buffer.from(`\uFEFF${heading}`, 'utf16le').swap16()],
    ['UTF-8 with a byte order mark', Buffer.from(`\uFEFF${heading}`)],
    ['DOS', Buffer.from(heading.replaceAll('\u00b5', '\u00e6'), 'latin1')],
    ['GB 18030', Buffer.concat([Buffer.from('I ('), Buffer.of(0xa6, 0xcc), Buffer.from('V);II\r\n1;2\r\n')])],
    ['Shift JIS', Buffer.concat([Buffer.from('I ('), Buffer.of(0x83, 0xca), Buffer.from('V);II\r\n1;2\r\n')])],
  ])('accepts the character set %s', (_, bytes) => {
    const { leads } = bytesOf(bytes, {
      rateHz: 250,
      ...(bytes.includes(0x83) || bytes.includes(0xa6) ? { unit: 'uV' } : {}),
    })

    expect(leads.map(({ name, samples }) => [name, samples[0]])).toEqual([
      ['I', 1],
      ['II', 2],
    ])
  })

  const times = (count: number, of: (i: number) => string, header: string) =>
    `${header},I (mV)\n${Array.from({ length: count }, (_, i) => `${of(i)},0.${i % 7}\n`).join('')}`
  const iso = (i: number) => new Date(Date.UTC(2026, 0, 2, 3, 4, 5) + 4 * i).toISOString()

  test.each<[string, string]>([
    ['ISO 8601', times(500, iso, 'timestamp')],
    [
      'ISO 8601 with a space and a time zone',
      times(500, (i) => `${iso(i).slice(0, -1).replace('T', ' ')} +0200`, 'Date Time'),
    ],
    [
      'German dates',
      times(
        500,
        (i) => `02.01.2026 03:04:0${5 + Math.floor(i / 250)}.${String((4 * i) % 1000).padStart(3, '0')}`,
        'Zeit',
      ),
    ],
    ['clock times across midnight', times(500, (i) => iso(i - 15_000_000).slice(11, 23), 'time')],
    ['minutes and seconds', times(500, (i) => `0:${(i / 250).toFixed(3).padStart(6, '0')}`, 'Elapsed time')],
    [
      'PhysioNet’s clock times',
      times(500, (i) => `'[14:30:0${(i / 250).toFixed(3)} 01/01/2020]'`, "'Time and date'").replace(
        'I (mV)',
        "'I (mV)'",
      ),
    ],
    ['seconds since 1970', times(500, (i) => (1_750_000_000 + i / 250).toFixed(3), 'unix time')],
    ['milliseconds since 1970', times(500, (i) => String(1_750_000_000_000 + 4 * i), 'timestamp')],
    ['nanoseconds', times(500, (i) => String(4_000_000 * i), 'sensor timestamp [ns]')],
    ['microseconds', times(500, (i) => String(4000 * i), 'time_us')],
    ['milliseconds in brackets', times(500, (i) => String(4 * i), 'Time (ms)')],
  ])('accepts times as %s', (_, text) => {
    const recording = read(text)

    expect(recording.rateHz).toBe(250)
    expect(recording.leads[0]!.samples).toHaveLength(500)
  })

  test('takes the rate from the most regular of several time columns', () => {
    const rows = Array.from(
      { length: 780 },
      (_, i) => `${1000 * Math.floor(i / 73)};${Math.round((i * 1e9) / 130)};${i % 9}`,
    )

    expect(read(`phone time [ms];sensor time [ns];ecg [uV]\n${rows.join('\n')}\n`, { lead: 'I' }).rateHz).toBe(130)
  })

  test.each([
    ['from the caller', { rateHz: 500 }, '', 500],
    ['stated in the file', {}, 'rate: 500\n', 500],
    ['in kilohertz', {}, 'Sample Rate,0.5 kHz\n', 500],
    ['with a unit', {}, 'Sampling frequency: 360 Hz\n', 360],
  ])('prefers a rate %s to an index column', (_, options, fact, rateHz) => {
    expect(read(`${fact}time,I (mV)\n0,1\n1,2\n2,3\n`, options).rateHz).toBe(rateHz)
  })

  test.each([
    ['German', 'Abtastrate,"511,9 Hertz"', 'Ableitung,Ableitung I', 'Einheit', 511.9],
    ['French', 'Fréquence d’échantillonnage,512 hertz', 'Dérivation,Dérivation I', 'Unité', 512],
    ['Spanish', 'Frecuencia de muestreo,512 hercios', 'Derivación,Derivación I', 'Unidad', 512],
    ['Dutch', 'Samplefrequentie,512 hertz', 'Afleiding,Afleiding I', 'Eenheid', 512],
    ['Portuguese', 'Frequência de amostragem,512 hertz', 'Derivação,Derivação I', 'Unidade', 512],
    ['Chinese', '采样率,512赫兹', '导联,导联 I', '单位', 512],
  ])('accepts a phone export in %s', (_, rate, lead, unit, rateHz) => {
    const recording = read(`${rate}\n\n${lead}\n${unit},µV\n\n"1,5"\n"-2,5"\n`)

    expect([recording.rateHz, recording.leads.map(({ name }) => name)]).toEqual([rateHz, ['I']])
  })

  test('reports a sampling rate that contradicts the timestamps', () => {
    const { warnings } = read(`rate: 500\n${times(500, (i) => String(4 * i), 'time (ms)')}`)

    expect(warnings).toEqual([{ code: 'rate-contradicted', field: 'time' }])
  })

  test('fills a lost second with missing samples, whichever source states the rate', () => {
    const text = times(1000, (i) => (i / 250 + (i >= 500 ? 1 : 0)).toFixed(3), 'time (s)')

    for (const options of [{}, { rateHz: 250 }]) {
      const { samples } = read(text, options).leads[0]!
      expect(samples).toHaveLength(1250)
      expect(samples.subarray(500, 750).every((sample) => sample === MISSING_SAMPLE)).toBe(true)
      expect(samples[750]).not.toBe(MISSING_SAMPLE)
    }
  })
})

describe('the CSV reader on damaged files', () => {
  test.each([
    ['blank lines', 'note\n\n\nI,II\n\n1,2\n1,x\n3,4\n', { line: 7, column: 2 }],
    ['a quoted line break', 'I,II,remark\n1,2,"a\nb"\n1,x,c\n', { line: 4, column: 2 }],
    ['CRLF line ends', 'I,II\r\n1,2\r\n1,x\r\n', { line: 3, column: 2 }],
    ['a time that is missing', 'time,I\n0,1\n,1\n0.004,1\n', { field: 'time', line: 3 }],
  ])('names the line of an error after %s', (_, text, detail) => {
    expect(codedError(() => read(text, text.startsWith('time') ? { unit: 'mV' } : stated)).detail).toMatchObject(detail)
  })

  test.each([
    ['a truncated last row', 'I,II\n1,2\n3,4\n5'],
    ['text after the last row', 'I,II\n1,2\n3,4\nend of file,\nsigned,by hand\n'],
  ])('leaves out %s and reports it', (_, text) => {
    const recording = read(text, stated)

    expect(microvolts(recording)).toEqual({ I: [1, 3], II: [2, 4] })
    expect(recording.warnings).toEqual([{ code: 'samples-left-out', field: 'line 4' }])
  })
})

describe('the CSV reader on device exports', () => {
  const sample = (name: string) => readFileSync(join(import.meta.dirname, '../../fixtures/csv', name))

  test.each<[string, ReadOptions, object]>([
    [
      'apple-health.csv',
      {},
      { rateHz: 512, startedAt: '2026-03-04T04:06:07.000Z', leads: [{ name: 'I', gainUv: 0.1 }] },
    ],
    ['apple-health-de.csv', {}, { rateHz: 512, leads: [{ name: 'I' }] }],
    ['apple-health-excel.csv', {}, { rateHz: 512, leads: [{ name: 'I' }] }],
    ['kardia-6l.csv', {}, { rateHz: 300, leads: ['I', 'II', 'III', 'aVR', 'aVL', 'aVF'].map((name) => ({ name })) }],
    ['polar-h10.csv', { lead: 'I' }, { rateHz: 130, leads: [{ name: 'I', gainUv: 1 }] }],
    ['movesense.csv', { lead: 'I', unit: 'mV' }, { rateHz: 200, leads: [{ name: 'I' }] }],
    ['physiobank-atm.csv', {}, { rateHz: 250, leads: [{ name: 'I' }, { name: 'II' }, { name: 'V2' }] }],
    ['excel-unicode.txt', {}, { rateHz: 500, leads: [{ name: 'II' }, { name: 'V5' }] }],
  ])('reads %s', (name, options, expected) => {
    const recording = bytesOf(sample(name), options)

    expect(recording).toMatchObject(expected)
    expect(recording.warnings).toBeUndefined()
    expect(recording.leads[0]!.samples.some((value) => value !== 0 && value !== MISSING_SAMPLE)).toBe(true)
  })
})
