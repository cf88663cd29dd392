import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { packSamples } from '../../../shared/waveform/codec.ts'
import { parseRecording, type ReadOptions } from '../../../streams/formats/index.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { codedError } from '../../helpers/errors.ts'

const parse = (document: unknown, options?: ReadOptions) =>
  parseRecording([{ name: 'ecg', bytes: Buffer.from(JSON.stringify(document)) }], options)

const problem = (document: unknown, options?: ReadOptions) => {
  const { code, detail } = codedError(() => parse(document, options))
  return [code, detail.field]
}

const window = {
  rateHz: 500,
  leads: [
    { name: 'II', gainUv: 2.5 },
    { name: 'lead v1', gainUv: 1 },
  ],
  samples: [1, -2, null, 4, 5, 6],
}

const { samples: _, ...unsampled } = window

describe('the reader of our own JSON', () => {
  test('reads leads one after another, by name', () => {
    expect(parse(window)).toEqual({
      format: 'json',
      rateHz: 500,
      leads: [
        { name: 'II', gainUv: 2.5, samples: Int32Array.of(1, -2, MISSING_SAMPLE) },
        { name: 'V1', gainUv: 1, samples: Int32Array.of(4, 5, 6) },
      ],
    })
  })

  test('reads packed samples', () => {
    const plain = parse(window)

    const packed = { ...unsampled, packed: packSamples(plain).toString('base64'), packedCount: 3 }

    expect(parse(packed)).toEqual(plain)
  })

  test('gives the start, heart rate and person', () => {
    const person = { sex: 'F', ageYears: 71, heightCm: 170, weightKg: 60 }
    const recording = parse({
      ...window,
      sessionStartedAtMs: 1_700_000_000_000,
      firstSample: 250,
      heartRateBpm: 64,
      person,
    })

    expect(recording).toMatchObject({
      startedAt: '2023-11-14T22:13:20.500Z',
      heartRateBpm: 64,
      person: { sex: 'female', ageYears: 71, heightCm: 170, weightKg: 60 },
    })
  })

  test('accepts what a device sends as JSON', () => {
    const samples = Int16Array.of(1, -2, -0x8000, 4, 5, 6)
    const frame = {
      ...window,
      leads: [
        { name: 'II', gainUv: 2.5 },
        { name: 'V1', gainUv: 1 },
      ] as const,
      samples,
    }
    const bytes = encodeFrame({ session: 's', sequence: 0, firstSample: 0, sessionStartedAtMs: 1, ...frame }, 'json')

    expect(parseRecording([{ name: 'x', bytes }]).leads).toEqual(parse(window).leads)
  })

  test.each([
    ['no rate', { ...window, rateHz: undefined }, 'field-invalid', 'rateHz'],
    ['a rate out of range', { ...window, rateHz: 50 }, 'rate-unsupported', 'rateHz'],
    ['no leads', { ...window, leads: [] }, 'field-invalid', 'leads'],
    ['an unknown lead', { ...window, leads: [{ name: 'V7', gainUv: 1 }] }, 'lead-unknown', 'leads'],
    ['a gain of zero', { ...window, leads: [{ name: 'II', gainUv: 0 }] }, 'gain-invalid', 'leads[0].gainUv'],
    ['leads of different lengths', { ...window, samples: [1, 2, 3] }, 'samples-uneven', 'samples'],
    ['no samples', { ...window, samples: undefined }, 'field-invalid', 'samples'],
    ['text in place of samples', { ...window, samples: '?' }, 'sample-invalid', 'samples'],
    ['half a sample', { ...window, samples: 'AQID' }, 'samples-uneven', 'samples'],
    ['an empty list of samples', { ...window, samples: [] }, 'payload-empty', 'leads[0].samples'],
    ['an invalid sample', { ...window, samples: [1, 2.5] }, 'sample-invalid', 'samples[1]'],
    ['a start out of range', { ...window, sessionStartedAtMs: 1e17 }, 'field-invalid', 'sessionStartedAtMs'],
    [
      'a first sample out of range',
      { ...window, sessionStartedAtMs: 0, firstSample: Number.MAX_SAFE_INTEGER },
      'clock-invalid',
      'firstSample',
    ],
    ['packed samples beside plain ones', { ...window, packed: 'AAAA', packedCount: 3 }, 'field-invalid', 'packed'],
    ['packed samples without their number', { ...unsampled, packed: 'AAAA' }, 'payload-empty', 'packedCount'],
    [
      'more packed samples than a window has',
      { ...unsampled, packed: 'AAAA', packedCount: 1e9 },
      'field-invalid',
      'packedCount',
    ],
    ['packed samples that are none', { ...unsampled, packed: 'AAAA', packedCount: 3 }, 'payload-malformed', 'waveform'],
    ['a FHIR resource in its place', { resourceType: 'Patient' }, 'field-invalid', 'leads'],
  ])('refuses a file with %s', (_, document, code, field) => {
    expect(problem(document, { format: 'json' })).toEqual([code, field])
  })

  test.each(['{"rateHz": 500', '{"samples": ', `{"samples":${'['.repeat(100_000)}`])(
    'refuses truncated JSON',
    (text) => {
      const { code } = codedError(() => parseRecording([{ name: 'x', bytes: Buffer.from(text) }]))

      expect(code).toBe('payload-malformed')
    },
  )

  test('refuses an array', () => {
    expect(problem([window])).toEqual(['format-unknown', 'file'])
  })
})

const zzu = {
  signal: { leads: { I: [0.001, -0.0025], AVR: [0.1, 0.2], ECG9: [1, 2] }, sampleRate: 500 },
  patient: { name: 'PATIENT, P1', mrn: 'P1', age: '14.9 yr', sex: 'F', testDateTime: '2021-08-25 17:48:02' },
  source: { dataset: 'ZZU pECG' },
}

describe('the reader of ZZU pECG JSON', () => {
  test('reads millivolts and the person, but no identity', () => {
    const recording = parse(zzu)

    expect(recording).toEqual({
      format: 'json',
      rateHz: 500,
      leads: [
        { name: 'I', gainUv: 0.1, samples: Int32Array.of(10, -25) },
        { name: 'aVR', gainUv: 1, samples: Int32Array.of(100, 200) },
      ],
      startedAt: '2021-08-25T17:48:02.000Z',
      person: { sex: 'female', ageYears: 14.9 },
    })
  })

  test.each([
    ['5 mo', 0.42],
    ['12 days', 0.03],
    ['3 wk', 0.06],
    ['unknown', undefined],
  ])('reads the age %s in years', (age, years) => {
    expect(parse({ ...zzu, patient: { age } }).person?.ageYears).toBe(years)
  })

  test('takes the unit from the caller for another data set', () => {
    const other = { signal: zzu.signal }

    expect(problem(other)).toEqual(['unit-unknown', 'signal'])
    expect(parse(other, { unit: 'uV' }).leads[1]).toEqual({ name: 'aVR', gainUv: 0.1, samples: Int32Array.of(1, 2) })
  })

  test.each([
    ['no leads', { ...zzu, signal: { leads: {}, sampleRate: 500 } }, 'lead-unknown', 'signal.leads'],
    ['no rate', { ...zzu, signal: { leads: zzu.signal.leads } }, 'field-invalid', 'signal.sampleRate'],
    [
      'text in place of samples',
      { ...zzu, signal: { leads: { I: 'a' }, sampleRate: 500 } },
      'field-invalid',
      'signal.leads.I',
    ],
    [
      'text among the samples',
      { ...zzu, signal: { leads: { I: [1, 'a'] }, sampleRate: 500 } },
      'sample-invalid',
      'signal.leads.I[1]',
    ],
    [
      'a sample out of range',
      { ...zzu, signal: { leads: { I: [0, 1e9] }, sampleRate: 500 } },
      'sample-invalid',
      'signal.leads.I[1]',
    ],
    [
      'leads of different lengths',
      { ...zzu, signal: { leads: { I: [1], II: [1, 2] }, sampleRate: 500 } },
      'samples-uneven',
      'leads[1].samples',
    ],
  ])('refuses a file with %s', (_, document, code, field) => {
    expect(problem(document)).toEqual([code, field])
  })
})

describe('a JSON file without a field of an ECG', () => {
  const { rateHz, leads, samples } = window
  const sources: [string, string][] = [
    ['a package', JSON.stringify({ name: 'x', version: '1.0.0', source: 'a.ts', files: ['leads'] })],
    ['a result of ours', JSON.stringify({ ecgId: 'x', measurements: { heartRateBpm: 60 }, quality: { leads: [] } })],
    ['an ECG one level below', JSON.stringify({ 'a "leads": [': 1, ecg: { rateHz, leads, samples } })],
    ['a field’s name as a value', JSON.stringify({ kind: 'samples', 'a\\': 'leads', '"': 'rateHz' })],
    ['nothing', '{}'],
    ['a number per line', JSON.stringify({ ecg: Array.from({ length: 40 }, (_, i) => i) }, null, 2)],
    ['comments', '{\n  // the compiler reads these\n  "compilerOptions": { "strict": true },\n}\n'],
    ['a template', '{{ title }}\n\nDear all, "leads": see below\n'],
    ['its first byte only', '{'],
    ['a text without an end', '{"leads'],
    ['a bracket without an end', `{"a":${'['.repeat(100_000)}"samples":`],
  ]

  test.each(sources)('is of no known format (%s)', (_, text) => {
    const { code } = codedError(() => parseRecording([{ name: 'x.json', bytes: Buffer.from(text) }]))

    expect(code).toBe('format-unknown')
  })

  test.each(sources.slice(0, 5))('names what it lacks if it is named as JSON (%s)', (_, text) => {
    const files = [{ name: 'x.json', bytes: Buffer.from(text) }]

    expect(codedError(() => parseRecording(files, { format: 'json' })).message).toBe('field-invalid: field=leads')
  })

  test.each([
    ['rateHz', { rateHz: 500 }, 'leads'],
    ['leads', { leads: window.leads }, 'rateHz'],
    ['samples, after much else', { a: { '}"': ['\\"', {}] }, b: 'x\\', samples }, 'leads'],
    ['signal', { name: 'x', signal: {} }, 'signal.leads'],
  ])('differs from one with a single field, whose error names the next one (%s)', (_, document, field) => {
    expect(problem(document)).toEqual(['field-invalid', field])
  })

  test('does not hide an ECG of another format that was uploaded with it', () => {
    const csv = { name: 'ecg.csv', bytes: Buffer.from('rate: 500\nunit: uV\nI,II\n1,2\n3,4\n5,6\n') }
    const about = { name: 'about.json', bytes: Buffer.from('{"ward":"3"}') }

    expect(parseRecording([about, csv]).format).toBe('csv')
  })
})

describe('the JSON reader on hostile input', () => {
  test.each([
    ['objects', `{"rateHz":500,"leads":[${'{},'.repeat(200_000)}{}],"samples":[]}`],
    ['lists', `{"signal":{"leads":{"I":[${'[],'.repeat(200_000)}[]]},"sampleRate":500}}`],
    ['strings', `{"signal":{"leads":{"I":[${'"",'.repeat(100_000)}""]},"sampleRate":500}}`],
    ['resources', `{"resourceType":"Observation","component":[{"valueSampledData":{}},${'{},'.repeat(200_000)}{}]}`],
  ])('refuses too many %s before parsing', (_, text) => {
    const { code, detail } = codedError(() => parseRecording([{ name: 'x', bytes: Buffer.from(text) }]))

    expect([code, detail.maxMarkup]).toEqual(['payload-too-large', 200_000])
  })

  test('refuses a file that is too large', () => {
    const bytes = Buffer.concat([Buffer.from('{"samples":'), Buffer.alloc(32 * 1024 * 1024, '{ ')])

    expect(codedError(() => parseRecording([{ name: 'x', bytes }])).code).toBe('payload-too-large')
  })

  test.each([
    ['in our shape', { ...window, samples: Array<number>(1_300_000).fill(1) }],
    ['in ZZU pECG’s shape', { ...zzu, signal: { leads: { I: Array<number>(600_001).fill(1) }, sampleRate: 1000 } }],
  ])('refuses more samples than the longest recording, %s', (_, document) => {
    expect(problem(document)[0]).toBe('payload-too-large')
  })
})
