import { describe, expect, test } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { parseRecording } from '../../../streams/formats/index.ts'
import { codedError } from '../../helpers/errors.ts'
import { leadMv, syntheticRecording } from '../../helpers/recordings.ts'
import { writeAecg, writeMuse, writeSierra } from '../../helpers/xml-writers.ts'

const ecg = syntheticRecording({ seconds: 2, gainUv: 2.5 })
const stored = syntheticRecording({ seconds: 2, gainUv: 4.88, leads: ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6'] })

const parse = (file: { name: string; bytes: Uint8Array }) => parseRecording([file])

/** The same file with a part of its text replaced. */
function edited(file: { name: string; bytes: Uint8Array }, from: string | RegExp, to: string) {
  const text = Buffer.from(file.bytes).toString()
  if (text.search(from) < 0) throw new Error(`nothing to replace: ${from}`)
  return { name: file.name, bytes: Buffer.from(text.replace(from, to)) }
}

const problem = (file: { name: string; bytes: Uint8Array }, from: string | RegExp, to: string) => {
  const { code, detail } = codedError(() => parse(edited(file, from, to)))
  return [code, detail.field]
}

/** Leads that are left out, which is said. */
function leftOut(file: { name: string; bytes: Uint8Array }) {
  const { leads, warnings = [] } = parse(file)
  const [warning] = warnings
  expect(warning?.code).toBe('lead-left-out')
  expect(leads.some(({ name }) => warning?.leads?.includes(name))).toBe(false)
  return warning?.leads
}

/** Where the waveform of the rhythm begins. */
function rhythmAt({ bytes }: { bytes: Uint8Array }): number {
  const text = Buffer.from(bytes).toString()
  return text.lastIndexOf('<Waveform>', text.indexOf('Rhythm'))
}

const namesOf = ({ leads }: Recording) => leads.map(({ name }) => name)

describe('the HL7 aECG reader', () => {
  test('reads every sample, the start and its time zone', () => {
    const recording = parse(writeAecg(ecg))

    expect(recording).toEqual({
      format: 'aecg',
      rateHz: 500,
      leads: ecg.leads,
      startedAt: '2024-02-29T08:15:00.250Z',
      person: { sex: 'female' },
    })
  })

  test('finds leads by name, in any order, and ignores others', () => {
    const shuffled = { ...ecg, leads: [...ecg.leads].reverse() }
    const { leads } = parse(edited(writeAecg(shuffled), 'MDC_ECG_LEAD_V6', 'MDC_ECG_LEAD_X'))

    expect(leads.map(({ name }) => name)).toEqual(LEADS.slice(0, 11).reverse())
    expect(leads.at(-1)).toEqual(ecg.leads[0])
  })

  test('adds the origin of a lead', () => {
    const [lead] = parse(edited(writeAecg(ecg), 'origin value="0" unit="uV"', 'origin value="-0.5" unit="mV"')).leads

    expect(lead!.samples[0]).toBe(ecg.leads[0]!.samples[0]! - 200)
  })

  test.each([
    ['milliseconds', 'value="2" unit="ms"', 500],
    ['microseconds', 'value="2000" unit="us"', 500],
    ['a binary fraction of a second', 'value="0.00390625" unit="s"', 256],
    ['a rounded period', 'value="0.0013333333333" unit="s"', 750],
  ])('reads a rate from %s', (_, increment, rateHz) => {
    expect(parse(edited(writeAecg(ecg), 'value="0.002" unit="s"', increment)).rateHz).toBe(rateHz)
  })

  test('gives the person’s age, but never the date of birth', () => {
    const person = '<name>Doe</name><administrativeGenderCode code="M"/><birthTime value="19520301"/>'

    const recording = parse(writeAecg(ecg, { person, startedAt: '20240229' }))

    expect(recording.person).toEqual({ sex: 'male', ageYears: 71 })
    expect(JSON.stringify(recording)).not.toMatch(/Doe|1952/)
  })

  test('takes the start from the series when times are relative', () => {
    const relative = edited(writeAecg(ecg), 'TIME_ABSOLUTE', 'TIME_RELATIVE')
    const low = '<code code="RHYTHM"/><effectiveTime><low value="20240229101500-0330"/></effectiveTime>'

    expect(parse(relative).startedAt).toBeUndefined()
    expect(parse(edited(relative, '<code code="RHYTHM"/>', low)).startedAt).toBe('2024-02-29T13:45:00.000Z')
  })

  test('reads the sequence set with the most leads', () => {
    const [first, ...rest] = ecg.leads
    const one = writeAecg({ ...ecg, leads: [first!] })
    const set = /<component><sequenceSet>[\s\S]*<\/sequenceSet><\/component>/
    const few = set.exec(Buffer.from(one.bytes).toString())![0]
    const both = edited(
      writeAecg({ ...ecg, leads: rest }),
      '<component><sequenceSet>',
      `${few}<component><sequenceSet>`,
    )

    expect(namesOf(parse(both))).toEqual(LEADS.slice(1))
  })

  test.each([
    ['no rhythm', 'code="RHYTHM"', 'code="REPRESENTATIVE_BEAT"', 'payload-empty', 'series'],
    ['no known lead', /MDC_ECG_LEAD/g, 'MDC_ECG_PLACE', 'lead-unknown', 'sequence.code'],
    ['no unit of time', 'unit="s"', 'unit="min"', 'field-invalid', 'increment'],
    ['a period of zero', 'increment value="0.002"', 'increment value="0"', 'field-invalid', 'increment'],
    ['a rate out of range', 'increment value="0.002"', 'increment value="0.02"', 'rate-unsupported', 'rateHz'],
    ['a longer lead', '<digits>', '<digits>1 ', 'samples-uneven', 'leads[1].samples'],
    ['a duplicate lead', '"MDC_ECG_LEAD_II"', '"MDC_ECG_LEAD_I"', 'lead-duplicate', 'sequence.code'],
    ['a lead without digits', /<digits>[^<]*<\/digits>/, '', 'payload-empty', 'leads[0].samples'],
  ])('refuses a file with %s', (_, from, to, code, field) => {
    expect(problem(writeAecg(ecg), from, to)).toEqual([code, field])
  })

  test.each([
    ['no scale', '<scale value="2.5" unit="uV"/>', '', 'gain-invalid', 'I.scale'],
    ['a scale below zero', 'scale value="2.5"', 'scale value="-2.5"', 'gain-invalid', 'I.scale'],
    ['another unit', 'unit="uV"/><scale', 'unit="mA"/><scale', 'unit-unknown', 'I.origin'],
    ['an invalid digit', '<digits>', '<digits>1,5 ', 'sample-invalid', 'I.digits[0]'],
    ['a digit too large', '<digits>', '<digits>2147483648 ', 'sample-invalid', 'I.digits[0]'],
  ])('leaves out a lead with %s; refuses the file if it is the only one', (_, from, to, code, field) => {
    expect(problem(writeAecg({ ...ecg, leads: ecg.leads.slice(0, 1) }), from, to)).toEqual([code, field])
    expect(leftOut(edited(writeAecg(ecg), from, to))).toEqual(['I'])
  })
})

describe('the GE MUSE reader', () => {
  test('reads the rhythm, not the median, and derives the limb leads from I and II', () => {
    const recording = parse(writeMuse(stored))

    expect(recording).toMatchObject({
      format: 'muse',
      rateHz: 500,
      startedAt: '2010-01-04T11:10:04.000Z',
      person: { sex: 'female', ageYears: 71 },
    })
    expect(namesOf(recording)).toEqual(LEADS)
    for (const lead of stored.leads) expect(recording.leads).toContainEqual(lead)
    const mv = new Map(recording.leads.map((lead) => [lead.name, leadMv(lead)]))
    for (const i of [0, 417, 999]) {
      const [one, two] = [mv.get('I')![i]!, mv.get('II')![i]!]
      expect(mv.get('III')![i]).toBeCloseTo(two - one, 12)
      expect(mv.get('aVR')![i]).toBeCloseTo(-(one + two) / 2, 12)
      expect(mv.get('aVL')![i]).toBeCloseTo(one - two / 2, 12)
      expect(mv.get('aVF')![i]).toBeCloseTo(two - one / 2, 12)
    }
  })

  test('keeps the file’s own limb leads', () => {
    expect(parse(writeMuse(ecg)).leads).toEqual(ecg.leads)
  })

  test('derives nothing from one limb lead, or from two of different gain', () => {
    const other = stored.leads.map((lead) => (lead.name === 'II' ? { ...lead, gainUv: 2.44 } : lead))

    expect(parse(writeMuse({ ...stored, leads: stored.leads.slice(1) })).leads).toHaveLength(7)
    expect(parse(writeMuse({ ...stored, leads: other })).leads).toHaveLength(8)
  })

  test.each([
    ['months', '<PatientAge>5</PatientAge><AgeUnits>MONTHS</AgeUnits>', { ageYears: 0.42 }],
    ['days', '<PatientAge>12</PatientAge><AgeUnits>DAYS</AgeUnits>', { ageYears: 0.03 }],
    ['no unit', '<PatientAge>5</PatientAge>', { ageYears: 5 }],
    ['a date of birth', '<DateofBirth>01-05-1940</DateofBirth>', { ageYears: 69 }],
    [
      'inches and pounds',
      '<HeightIN>70</HeightIN><WeightLBS>154</WeightLBS>',
      { heightCm: 177.8, weightKg: 154 * 0.45359237 },
    ],
    ['centimetres and kilograms', '<HeightCM>170</HeightCM><WeightKG>65</WeightKG>', { heightCm: 170, weightKg: 65 }],
    ['unknown values', '<PatientAge>999</PatientAge><Gender>UNKNOWN</Gender>', undefined],
  ])('reads a person from %s', (_, person, expected) => {
    expect(parse(writeMuse(stored, { person })).person).toEqual(expected)
  })

  test.each([
    ['a European date', '<AcquisitionDate>23-12-2010</AcquisitionDate><AcquisitionTime>11:10:04</AcquisitionTime>'],
    ['a date without a time', '<AcquisitionDate>12-23-2010</AcquisitionDate>'],
    ['nothing', ''],
  ])('gives no start for %s', (_, startedAt) => {
    expect(parse(writeMuse(stored, { startedAt })).startedAt).toBeUndefined()
  })

  const rhythm = (from: string) => new RegExp(`(Rhythm[\\s\\S]*?)${from}`)

  test.each([
    ['no rhythm', 'Rhythm', 'Median', 'payload-empty', 'Waveform'],
    ['no rate', rhythm('<SampleBase>500'), '$1<SampleBase>x', 'field-invalid', 'SampleBase'],
    ['split sampling', rhythm('CONTINUOUS_SAMPLES'), '$1SPLIT', 'format-unsupported', 'SampleType'],
    ['no leads', /LeadID>/g, 'LeadName>', 'lead-unknown', 'LeadID'],
  ])('refuses a file with %s', (_, from, to, code, field) => {
    expect(problem(writeMuse(stored), from, to)).toEqual([code, field])
  })

  test.each([
    ['samples of four bytes', rhythm('Size>2'), '$1Size>4', 'format-unsupported', 'LeadSampleSize'],
    ['no gain', rhythm('PerBit>4.88'), '$1PerBit>?', 'gain-invalid', 'LeadAmplitudeUnitsPerBit'],
    ['another unit', rhythm('MICROVOLTS'), '$1MICROAMPERES', 'unit-unknown', 'LeadAmplitudeUnits'],
    ['a flipped bit', rhythm('<WaveFormData>.'), '$1<WaveFormData>/', 'payload-malformed', 'LeadDataCRC32'],
    [
      'a character outside base64',
      rhythm('<WaveFormData>.'),
      '$1<WaveFormData>!',
      'payload-malformed',
      'I.WaveFormData',
    ],
  ])('leaves out a lead with %s; refuses the file if it is the only one', (_, from, to, code, field) => {
    expect(problem(writeMuse({ ...stored, leads: stored.leads.slice(0, 1) }), from, to)).toEqual([code, field])
    expect(leftOut(edited(writeMuse(stored), from, to))).toEqual(['I'])
  })

  test('leaves out a lead that starts later', () => {
    const later = edited(writeMuse(stored), rhythm('<LeadID>'), '$1<LeadTimeOffset>8</LeadTimeOffset><LeadID>')

    expect(leftOut(later)).toEqual(['I'])
  })

  test('counts the samples itself', () => {
    const other = edited(writeMuse(stored), rhythm('Total>1000'), '$1Total>999')

    expect(parse(other)).toEqual(parse(writeMuse(stored)))
  })

  test('reads the rhythm with the most leads', () => {
    const few = writeMuse({ ...stored, leads: stored.leads.slice(1, 2) })
    const [strip] = /<Waveform>[\s\S]*?<\/Waveform>/.exec(Buffer.from(few.bytes).toString().slice(rhythmAt(few)))!
    const both = edited(writeMuse(stored), '<Waveform>', `${strip}<Waveform>`)

    expect(namesOf(parse(both))).toEqual(LEADS)
  })

  test('accepts a zero or missing checksum', () => {
    const zero = edited(writeMuse(stored), /<LeadDataCRC32>\d+/g, '<LeadDataCRC32>0')
    const none = edited(writeMuse(stored), /<LeadDataCRC32>\d+<\/LeadDataCRC32>/g, '')

    expect(parse(zero)).toEqual(parse(none))
  })
})

describe('the Philips reader', () => {
  const noisy = {
    ...ecg,
    leads: ecg.leads.map((lead, k) => ({
      ...lead,
      samples: lead.samples.map((value, i) => value + (((i * 7919 + k * 31) >> 3) % 5) - 2),
    })),
  }

  test.each([
    ['1.04', 'xli'],
    ['1.04', 'base64'],
    ['1.04', 'plain'],
    ['1.03', 'xli'],
    ['1.03', 'base64'],
  ] as const)('reads every sample of version %s in %s', (version, coding) => {
    for (const recording of [ecg, noisy]) {
      expect(parse(writeSierra(recording, { version, coding }))).toEqual({
        format: 'sierra',
        rateHz: 500,
        leads: recording.leads,
        startedAt: '2020-03-01T10:15:30.000Z',
        person: { sex: 'male', ageYears: 39 },
      })
    }
  })

  test('does not use an assumed age', () => {
    const recording = parse(writeSierra(ecg, { person: '<age defaultage="50"><dateofbirth/></age><sex>Unknown</sex>' }))

    expect(recording.person).toBeUndefined()
  })

  test('ignores leads beyond the twelve', () => {
    const more = { ...ecg, leads: [...ecg.leads, { ...ecg.leads[0]!, name: 'V4R' as 'V1' }] } // as: a lead that we have no name for

    expect(parse(writeSierra(more)).leads).toEqual(ecg.leads)
  })

  test.each([
    ['of another version', '>1.04<', '>2.0<', 'format-unsupported', 'documentversion'],
    ['without samples', 'parsedwaveforms', 'otherwaveforms', 'payload-malformed', 'xml'],
    ['in another compression', '"XLI"', '"ZIP"', 'format-unsupported', 'compression'],
    ['in another encoding', '"Base64"', '"Hex"', 'format-unsupported', 'dataencoding'],
    [
      'with unsigned samples',
      'signalsigned="True"',
      'signalsigned="False"',
      'format-unsupported',
      'signalcharacteristics',
    ],
    ['with an offset', 'signaloffset="0"', 'signaloffset="9"', 'format-unsupported', 'signalcharacteristics'],
    ['with leads in another order', '"I II III', '"II I III', 'format-unsupported', 'leadlabels'],
    ['without a rate', /samplespersecond="500"|<samplingrate>500</g, '<', 'payload-malformed', 'xml'],
    ['without a duration', 'durationperchannel', 'duration', 'field-invalid', 'durationperchannel'],
    [
      'that states a longer duration',
      'durationperchannel="2000"',
      'durationperchannel="2002"',
      'payload-malformed',
      'parsedwaveforms',
    ],
    [
      'that states an endless duration',
      'durationperchannel="2000"',
      'durationperchannel="9e9"',
      'payload-too-large',
      'durationperchannel',
    ],
    ['with more leads than data', 'V6"', 'V6 V7"', 'payload-malformed', 'parsedwaveforms'],
    ['with an invalid rate', 'samplespersecond="500"', 'samplespersecond="1e15"', 'rate-unsupported', 'samplingrate'],
    ['without leads', /leadlabels="[^"]*"/, 'leadlabels=""', 'format-unsupported', 'leadlabels'],
  ])('refuses a file %s', (_, from, to, code, field) => {
    expect(problem(writeSierra(ecg), from, to)).toEqual([code, field])
  })

  test('refuses plain values that are not integers', () => {
    expect(problem(writeSierra(ecg, { coding: 'plain' }), /">-?\d+ /, '">1.5 ')).toEqual([
      'sample-invalid',
      'parsedwaveforms[0]',
    ])
  })

  test('refuses an unknown electrode placement', () => {
    expect(problem(writeSierra(ecg, { version: '1.03' }), 'STD-12', 'EASI')).toEqual([
      'lead-unknown',
      'acquisitiontype',
    ])
  })
})

test('a missing sample makes the samples derived from it missing', async () => {
  const { withLimbLeads } = await import('../../../streams/formats/limb-leads.ts')
  const lead = (name: 'I' | 'II', ...samples: number[]) => ({ name, gainUv: 1, samples: Int32Array.from(samples) })

  const leads = withLimbLeads([lead('II', 3, MISSING_SAMPLE), lead('I', 1, 1)])

  expect(leads.map(({ name, gainUv, samples }) => [name, gainUv, ...samples])).toEqual([
    ['I', 1, 1, 1],
    ['II', 1, 3, MISSING_SAMPLE],
    ['III', 1, 2, MISSING_SAMPLE],
    ['aVR', 0.5, -4, MISSING_SAMPLE],
    ['aVL', 0.5, -1, MISSING_SAMPLE],
    ['aVF', 0.5, 5, MISSING_SAMPLE],
  ])
})
