import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { LEADS, type LeadName } from '../../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { parseRecording } from '../../../streams/formats/index.ts'
import { dataPath, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { component, ecgObservation, MDC, MDC_LEAD_CODES, sampledData } from '../../helpers/fhir-observations.ts'
import { leadMv, syntheticRecording } from '../../helpers/recordings.ts'

const read = (json: unknown, options = {}) =>
  parseRecording([{ name: 'x.json', bytes: Buffer.from(JSON.stringify(json)) }], options)

const recording = syntheticRecording({ seconds: 2 })
const observation = ecgObservation(recording)
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** An Observation with one lead, its sampled data as given. */
const oneLead = (
  data: Readonly<Record<string, unknown>>,
  code: unknown = { coding: [{ system: MDC, code: '131330' }] },
) => ({
  resourceType: 'Observation',
  component: [{ code, valueSampledData: { origin: { value: 0, code: 'uV' }, period: 2, data: '1 2 3', ...data } }],
})

const samplesOf = ({ leads }: Recording, lead: LeadName = 'II') => [...leads.find(({ name }) => name === lead)!.samples]

describe('the FHIR reader on an Observation', () => {
  it('recovers the leads, rate, start and microvolts that were written', () => {
    const parsed = read(observation)

    expect(parsed).toMatchObject({ format: 'fhir', rateHz: 500, startedAt: '2026-03-04T05:06:07.000Z' })
    expect(parsed.leads).toEqual(recording.leads)
  })

  it('reads a time without a zone as UTC, wherever it runs', () => {
    vi.stubEnv('TZ', 'America/New_York')
    try {
      const { effectivePeriod: _, ...rest } = { effectivePeriod: undefined, ...observation }
      const times = ['2026-03-04T05:06:07', '2026-03-04T05:06:07-05:00']

      const parsed = times.map((effectiveDateTime) => read({ ...rest, effectiveDateTime }).startedAt)

      expect(new Date(2026, 0, 1).getUTCHours()).toBe(5)
      expect(parsed).toEqual(['2026-03-04T05:06:07.000Z', '2026-03-04T10:06:07.000Z'])
    } finally {
      vi.unstubAllEnvs()
    }
  })

  it.each(Object.entries(MDC_LEAD_CODES))('identifies lead %s by MDC %s, and by the lead’s own code', (name, code) => {
    const codes = [code, String(Number(code) - 256), `2:${Number(code) - 0x2_0000}`]

    const leads = codes.map((each) => read(oneLead({}, { coding: [{ system: MDC, code: each }] })).leads[0]!.name)

    expect(leads).toEqual([name, name, name])
  })

  it.each<[LeadName, unknown]>([
    ['II', { text: 'Lead II' }],
    ['aVR', { text: 'MDC_ECG_ELEC_POTL_AVR' }],
    ['V3', { coding: [{ system: 'urn:local', code: 'x', display: 'ECG Lead V3' }] }],
    ['I', { coding: [{ system: 'SCPECG', code: '5.6.3-9-1', display: 'Lead I (Einthoven)' }] }],
    ['III', { coding: [{ system: 'http://snomed.info/sct', code: '272731001' }] }],
    ['V6', { coding: [{ system: 'http://loinc.org', code: 'LP7394-2' }] }],
    ['I', { coding: [{ code: 'appleWatchSimilarToLeadI' }] }],
    ['aVF', { coding: [{ system: 'urn:oid:2.16.840.1.113883.6.24', code: '131392' }] }],
  ])('identifies lead %s by %j', (name, code) => {
    expect(read(oneLead({}, code)).leads[0]!.name).toBe(name)
  })

  it.each([
    ['uV', 5, 5],
    ['µV', 5, 5],
    ['mV', 0.005, 5],
    ['V', 5e-6, 5],
  ])('reads the unit %s', (unit, factor, gainUv) => {
    const parsed = read(oneLead({ origin: { value: 0, unit }, factor }))

    expect(parsed.leads[0]).toEqual({ name: 'II', gainUv, samples: Int32Array.of(1, 2, 3) })
  })

  it('adds the origin after applying the factor', () => {
    const parsed = read(oneLead({ origin: { value: 10, code: 'uV' }, factor: 5 }))

    expect(leadMv(parsed.leads[0]!)).toEqual(Float64Array.of(0.015, 0.02, 0.025))
  })

  it('keeps decimals to a nanovolt', () => {
    const parsed = read(oneLead({ data: '0.125 -3.5 12.001', origin: { value: 0, code: 'uV' } }))

    expect(leadMv(parsed.leads[0]!)).toEqual(Float64Array.of(0.000125, -0.0035, 0.012001))
  })

  it.each([
    [{ period: 4 }, 250],
    [{ period: 1.953125 }, 512],
    [{ period: 3.333 }, 300],
    [{ period: undefined, interval: 5, intervalUnit: 'ms' }, 200],
    [{ period: undefined, interval: 0.002, intervalUnit: 's' }, 500],
    [{ period: undefined, interval: 2000, intervalUnit: 'us' }, 500],
  ])('takes the rate from %j', (data, rateHz) => {
    expect(read(oneLead(data)).rateHz).toBe(rateHz)
  })

  it('reads an error as missing, and a value beyond a limit as that limit where known', () => {
    const known = read(oneLead({ data: '1 E U L 2', upperLimit: 100, lowerLimit: -50 }))
    const unknown = read(oneLead({ data: '1 E U L 2' }))

    expect(samplesOf(known)).toEqual([1, MISSING_SAMPLE, 100, -50, 2])
    expect(samplesOf(unknown)).toEqual([1, MISSING_SAMPLE, MISSING_SAMPLE, MISSING_SAMPLE, 2])
  })

  it('separates interleaved dimensions by their lead names', () => {
    const code = { coding: ['131329', '131330', '131331'].map((each) => ({ system: MDC, code: each })) }

    const parsed = read(oneLead({ dimensions: 3, data: '1 2 3 10 20 30' }, code))

    expect(parsed.leads.map(({ name, samples }) => [name, ...samples])).toEqual([
      ['I', 1, 10],
      ['II', 2, 20],
      ['V1', 3, 30],
    ])
  })

  it('joins the segments of a lead, as in HealthKit exports', () => {
    const stretch = (data: string) => ({
      code: { coding: [{ system: MDC, code: '131329' }] },
      valueSampledData: { origin: { value: 0, code: 'uV' }, period: 1.953125, dimensions: 1, data },
    })
    const heartRate = { code: { coding: [{ code: '8867-4' }] }, valueQuantity: { value: 63, unit: '/min' } }

    const parsed = read({ resourceType: 'Observation', component: [stretch('1.5 -2'), heartRate, stretch('3 4.25')] })

    expect(parsed).toMatchObject({ rateHz: 512, heartRateBpm: 63 })
    expect(leadMv(parsed.leads[0]!)).toEqual(Float64Array.of(0.0015, -0.002, 0.003, 0.00425))
  })

  it('reads a single lead without components', () => {
    const single = {
      resourceType: 'Observation',
      code: { coding: [{ code: '131329' }] },
      valueSampledData: sampledData(recording.leads[0]!, 500),
    }

    expect(read(single).leads).toEqual([recording.leads[0]])
  })

  it('ignores waveforms that are not standard leads', () => {
    const breath = { ...component(recording.leads[0]!, 500), code: { text: 'Respiration' } }

    const parsed = read({ ...observation, component: [breath, ...observation.component.slice(0, 2)] })

    expect(parsed.leads.map(({ name }) => name)).toEqual(['I', 'II'])
  })

  it.each([
    ['no unit', { origin: { value: 0 } }, 'unit-unknown', 'component[0].valueSampledData.origin.unit'],
    ['another unit', { origin: { code: 'mm[Hg]' } }, 'unit-unknown', 'component[0].valueSampledData.origin.unit'],
    ['no period', { period: undefined }, 'field-invalid', 'component[0].valueSampledData.period'],
    ['a period of zero', { period: 0 }, 'field-invalid', 'component[0].valueSampledData.period'],
    [
      'an interval without a unit',
      { period: undefined, interval: 2 },
      'field-invalid',
      'component[0].valueSampledData.intervalUnit',
    ],
    ['a factor of zero', { factor: 0 }, 'gain-invalid', 'component[0].valueSampledData.factor'],
    ['an unsupported rate', { period: 0.1 }, 'rate-unsupported', 'rateHz'],
    ['text among the values', { data: '1 x 3' }, 'sample-invalid', 'component[0].valueSampledData.data'],
    ['a hexadecimal value', { data: '0x10' }, 'sample-invalid', 'component[0].valueSampledData.data'],
    ['a value beyond 32 bits', { data: '1 1e300' }, 'sample-invalid', 'component[0].valueSampledData.data'],
    ['no values', { data: ' ' }, 'payload-empty', 'leads[0].samples'],
    ['leads without names', { dimensions: 3 }, 'lead-unknown', 'component[0].valueSampledData.dimensions'],
    ['absurd dimensions', { dimensions: 1e9 }, 'field-invalid', 'component[0].valueSampledData.dimensions'],
    ['separate time offsets', { offsets: '1 2 5' }, 'format-unsupported', 'component[0].valueSampledData.offsets'],
    ['a number for data', { data: 5 }, 'field-invalid', 'component[0].valueSampledData.data'],
  ])('refuses an Observation with %s', (_what, data, code, field) => {
    const error = codedError(() => read(oneLead(data)))

    expect([error.code, error.detail.field]).toEqual([code, field])
  })

  it('takes the unit from the caller when the file has none', () => {
    expect(read(oneLead({ origin: { value: 0 } }), { unit: 'mV' }).leads[0]!.gainUv).toBe(1000)
  })

  it('takes the lead from the caller when there is only one', () => {
    const code = { text: 'ECG of a watch' }
    const panel = { ...oneLead({}, code), code: { coding: [{ code: '131328' }] } }

    const error = codedError(() => read(panel))

    expect(error.code).toBe('lead-unknown')
    expect(read(panel, { lead: 'I' }).leads[0]!.name).toBe('I')
  })

  it('refuses segments that together exceed the longest recording', () => {
    const [stretch] = oneLead({ data: '1 '.repeat(200_000) }).component

    const error = codedError(() => read({ resourceType: 'Observation', component: [stretch, stretch] }))

    expect(error.code).toBe('payload-too-large')
  })

  it('refuses more samples than the longest recording', () => {
    const error = codedError(() => read(oneLead({ data: '1 '.repeat(1_200_001) })))

    expect(error.code).toBe('payload-too-large')
  })

  it('preserves any integers, gain and rate in a round trip', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }), fc.constant(MISSING_SAMPLE)), {
          minLength: 1,
          maxLength: 50,
        }),
        fc.constantFrom(0.153, 1, 2.5, 4.88, 5),
        fc.constantFrom(100, 125, 128, 250, 360, 500, 512, 1000, 2000),
        (values, gainUv, rateHz) => {
          const lead = { name: 'V2' as const, gainUv, samples: Int32Array.from(values) }

          const parsed = read({ resourceType: 'Observation', component: [component(lead, rateHz)] })

          expect(parsed.rateHz).toBe(rateHz)
          expect(parsed.leads).toEqual([lead])
        },
      ),
    )
  })

  it('preserves any decimals within half a nanovolt', () => {
    const microvolts = fc.integer({ min: -5_000_000, max: 5_000_000 }).map((nanovolts) => nanovolts / 1000)
    fc.assert(
      fc.property(fc.array(microvolts, { minLength: 1, maxLength: 50 }), microvolts, (values, origin) => {
        const parsed = read(oneLead({ data: values.join(' '), origin: { value: origin, code: 'uV' } }))

        const [{ samples, gainUv }] = parsed.leads as [Recording['leads'][number]]
        for (const [i, value] of values.entries()) {
          expect(Math.abs(samples[i]! * gainUv - value - origin)).toBeLessThanOrEqual(gainUv === 1 ? 0.5 : 0.00051)
        }
      }),
    )
  })

  it('returns a recording or a coded error for any JSON', () => {
    const anything = fc.anything({ withBigInt: false, maxDepth: 3 })
    const path = fc.constantFrom(
      'code',
      'component',
      'valueSampledData',
      'hasMember',
      'contained',
      'effectivePeriod',
      'subject',
      'derivedFrom',
    )
    fc.assert(
      fc.property(
        path,
        anything,
        fc.constantFrom('origin', 'data', 'factor', 'period', 'dimensions'),
        anything,
        (name, value, part, other) => {
          const [first, ...rest] = observation.component
          const changed = { ...first!, valueSampledData: { ...first!.valueSampledData, [part]: other } }
          for (const json of [
            { ...observation, [name]: value },
            { ...observation, component: [changed, ...rest] },
          ]) {
            try {
              read(json)
            } catch (error) {
              codedError(() => {
                throw error
              })
            }
          }
        },
      ),
    )
  })
})

describe('a FHIR resource that is not an ECG', () => {
  const glucose = {
    resourceType: 'Observation',
    code: { text: 'Glucose' },
    valueQuantity: { value: 5, unit: 'mmol/L' },
  }
  const condition = { resourceType: 'Condition', id: '1' }

  it.each([
    ['an Observation of a laboratory', glucose],
    [
      'a Bundle of other resources',
      { resourceType: 'Bundle', entry: [{ resource: condition }, { resource: glucose }] },
    ],
    ['a report on paper', { resourceType: 'DiagnosticReport', result: [{ reference: 'Observation/1' }] }],
    ['a Patient', { resourceType: 'Patient', id: '1' }],
  ])('%s is of no known format, and has no lead if it is named as FHIR', (_what, resource) => {
    expect(codedError(() => read(resource)).code).toBe('format-unknown')
    expect(codedError(() => read(resource, { format: 'fhir' })).code).toBe('lead-missing')
  })

  it('reads samples that follow 200 kB of text', () => {
    const text = { status: 'generated', div: 'x'.repeat(200_000) }

    expect(read({ text, ...observation }).leads).toHaveLength(LEADS.length)
  })
})

describe('the FHIR reader on bundles and attachments', () => {
  const csv = ['rate: 500', 'unit: uV', 'I,II', ...Array.from({ length: 100 }, (_, i) => `${i},${2 * i}`)].join('\n')
  const attachment = { contentType: 'text/csv', data: base64(csv), title: 'ecg.csv' }
  const patient = { resourceType: 'Patient', id: '1', gender: 'female', birthDate: '1966-03-05' }
  const entry = (resource: unknown, fullUrl?: string) => ({ resource, ...(fullUrl === undefined ? {} : { fullUrl }) })

  it.each([
    ['DocumentReference', { resourceType: 'DocumentReference', content: [{ attachment }] }],
    ['Media', { resourceType: 'Media', content: attachment }],
    ['Binary', { resourceType: 'Binary', contentType: 'text/csv', data: attachment.data }],
    ['DiagnosticReport', { resourceType: 'DiagnosticReport', presentedForm: [attachment] }],
    [
      'DocumentReference of a DocumentReference',
      {
        resourceType: 'DocumentReference',
        content: [{ attachment: { data: base64(JSON.stringify({ resourceType: 'Media', content: attachment })) } }],
      },
    ],
  ])('reads the file in a %s by its own format', (_type, resource) => {
    expect(read(resource)).toMatchObject({ format: 'csv', rateHz: 500 })
  })

  it('assembles a record of several files by their names', () => {
    const header = 'r 1 500 3\nr.dat 16 1000/mV 16 0 1 6 0 II\n'
    const signal = Buffer.from(Int16Array.of(1, 2, 3).buffer).toString('base64')
    const content = [
      { attachment: { title: 'r.dat', data: signal } },
      { attachment: { title: 'r.hea', data: base64(header) } },
    ]

    const parsed = read({ resourceType: 'DocumentReference', content })

    expect(samplesOf(parsed)).toEqual([1, 2, 3])
  })

  it('follows a report to its results in the bundle, and takes sex and age from the patient', () => {
    const report = { resourceType: 'DiagnosticReport', result: [{ reference: 'urn:uuid:a' }] }
    const bundle = {
      resourceType: 'Bundle',
      entry: [entry(report), entry({ ...observation, id: '9' }, 'urn:uuid:a'), entry(patient)],
    }

    const parsed = read(bundle)

    expect(parsed.leads).toEqual(recording.leads)
    expect(parsed.person).toEqual({ sex: 'female', ageYears: 59 })
  })

  it('joins a panel of one observation per lead into one ECG', () => {
    const members = recording.leads.map((lead, i) => ({
      resourceType: 'Observation',
      id: `m${i}`,
      code: { coding: [{ system: MDC, code: MDC_LEAD_CODES[lead.name] }] },
      valueSampledData: sampledData(lead, 500),
    }))
    const panel = {
      ...observation,
      component: [],
      hasMember: members.map(({ id }) => ({ reference: `Observation/${id}` })),
    }

    const parsed = read({ resourceType: 'Bundle', entry: [entry(panel), ...members.map((member) => entry(member))] })

    expect(parsed.startedAt).toBe('2026-03-04T05:06:07.000Z')
    expect(parsed.leads).toEqual(recording.leads)
  })

  it('stops at circular references', () => {
    const circle = { resourceType: 'Observation', id: 'a', hasMember: [{ reference: 'Observation/a' }] }

    const error = codedError(() => read({ resourceType: 'Bundle', entry: [entry(circle)] }, { format: 'fhir' }))

    expect(error.code).toBe('lead-missing')
  })

  it('resolves contained resources by fragment', () => {
    const report = {
      resourceType: 'DiagnosticReport',
      contained: [{ ...observation, id: 'ecg' }],
      result: [{ reference: '#ecg' }],
    }

    expect(read(report).leads).toHaveLength(LEADS.length)
  })

  it.each([
    [
      'a letter',
      { resourceType: 'DocumentReference', content: [{ attachment: { data: base64('%PDF-1.7') } }] },
      'lead-missing',
    ],
    [
      'a pulse wave',
      {
        resourceType: 'Observation',
        component: [{ code: { text: 'Pleth' }, valueSampledData: { origin: {}, data: '1' } }],
      },
      'lead-missing',
    ],
    [
      'an ECG without a known lead',
      { ...observation, component: [{ ...observation.component[0], code: { text: 'channel 1' } }] },
      'lead-unknown',
    ],
    [
      'a file on another server',
      { resourceType: 'Media', content: { url: 'http://169.254.169.254/x' } },
      'lead-missing',
    ],
    [
      'more entries than the limit',
      {
        resourceType: 'Bundle',
        entry: Array.from({ length: 1001 }, (_, i) => entry({ resourceType: 'Media', id: String(i), content: {} })),
      },
      'payload-too-large',
    ],
  ])('refuses %s with a coded error', (_what, resource, code) => {
    expect(codedError(() => read(resource)).code).toBe(code)
  })
})

const SAMPLE = dataPath('format_zoo/fhir/de-basisprofil_Observation-ekg.json')

describe.skipIf(!existsSync(SAMPLE))(`the German base profile's example${NO_DATA}`, () => {
  it('has no unit, and is read when the caller gives one', () => {
    const bytes = readFileSync(SAMPLE)
    const files = [{ name: 'ekg.json', bytes }]

    const error = codedError(() => parseRecording(files))
    const parsed = parseRecording(files, { unit: 'uV' })

    expect(error.message).toBe('unit-unknown: field=component[0].valueSampledData.origin.unit')
    expect(parsed).toMatchObject({ format: 'fhir', rateHz: 100 })
    expect(parsed.startedAt).toBeUndefined()
    expect(parsed.leads.map(({ name, samples }) => [name, samples.length, samples[0]])).toEqual([
      ['I', 116, 2041 + 2048],
      ['II', 116, 2041 + 2048],
      ['III', 116, 2041 + 2048],
    ])
  })
})
