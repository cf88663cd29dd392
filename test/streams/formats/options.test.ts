import { describe, expect, test } from 'vitest'
import { parseRecording, type ReadOptions, type SourceFile } from '../../../streams/formats/index.ts'
import { writeContec } from '../../helpers/contec-writer.ts'
import { writeWaveform } from '../../helpers/dicom-writer.ts'
import { writeEdf } from '../../helpers/edf-writer.ts'
import { codedError } from '../../helpers/errors.ts'
import { ecgObservation } from '../../helpers/fhir-observations.ts'
import { csvOf, text, windowOf } from '../../helpers/format-samples.ts'
import { writeIshne } from '../../helpers/ishne-writer.ts'
import { writeMfer } from '../../helpers/mfer-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeScp } from '../../helpers/scp-writer.ts'
import { writeWfdb } from '../../helpers/wfdb-writer.ts'
import { writeAecg, writeMuse, writeSierra } from '../../helpers/xml-writers.ts'

const one = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 5, leads: ['II'] })
const json = (value: unknown) => text('ecg.json', JSON.stringify(value))

/** A file of one lead, II at 250 Hz in steps of 5 µV, in each format that can hold it. */
const ONE_LEAD: Readonly<Record<string, readonly SourceFile[]>> = {
  aecg: [writeAecg(one)],
  muse: [writeMuse(one)],
  sierra: [writeSierra(one, { coding: 'plain' })],
  json: [json(windowOf(one))],
  csv: [text('ecg.csv', csvOf(one))],
  wfdb: writeWfdb(one),
  dicom: [writeWaveform(one)],
  edf: [writeEdf(one)],
  ishne: [writeIshne(one)],
  scp: [writeScp(one)],
  mfer: [writeMfer(one)],
  fhir: [json(ecgObservation(one))],
}

/** Of these the format itself fixes in what unit voltages are stored. */
const FIXED_UNIT = ['json', 'sierra', 'ishne', 'scp']

const read = (format: string, options: ReadOptions) => parseRecording(ONE_LEAD[format]!, options)
const formats = Object.keys(ONE_LEAD)

describe('a caller’s option', () => {
  test.each(formats)('overrides the rate in %s', (format) => {
    expect(read(format, { rateHz: 125 }).rateHz).toBe(125)
  })

  test.each(formats)('overrides the lead in %s', (format) => {
    const { leads } = read(format, { lead: 'V3' })

    expect(leads.map(({ name }) => name)).toEqual(['V3'])
  })

  test.each(formats.filter((format) => !FIXED_UNIT.includes(format)))('overrides the unit in %s', (format) => {
    const [stated] = read(format, {}).leads
    const [nanovolts] = read(format, { unit: 'nV' }).leads

    const ratio = (lead: typeof stated) => lead!.samples[50]! * lead!.gainUv
    // MFER counts in volts, WFDB in millivolts, the others in microvolts.
    const thousands = format === 'mfer' ? 3 : format === 'wfdb' ? 2 : 1
    expect(ratio(nanovolts) * 1000 ** thousands).toBeCloseTo(ratio(stated), 6)
  })

  test.each(FIXED_UNIT)('does not override the fixed unit in %s, and causes a warning', (format) => {
    const recording = read(format, { unit: 'nV' })

    expect(recording.leads).toEqual(read(format, {}).leads)
    expect(recording.warnings).toEqual([{ code: 'option-unused', field: 'unit' }])
  })

  test('overrides the rate in Contec', () => {
    expect(
      parseRecording([writeContec(syntheticRecording({ seconds: 0.1, rateHz: 800 }))], { rateHz: 400 }).rateHz,
    ).toBe(400)
  })

  test('renames none of several leads, and causes a warning', () => {
    const two = syntheticRecording({ seconds: 0.4, rateHz: 250, leads: ['I', 'II'] })

    const { leads, warnings } = parseRecording([writeEdf(two)], { lead: 'V3' })

    expect(leads.map(({ name }) => name)).toEqual(['I', 'II'])
    expect(warnings).toEqual([{ code: 'option-unused', field: 'lead' }])
  })
})

describe('a caller’s option for a missing value', () => {
  const edf = (label: string, unit = 'uV') => [writeEdf(one, { fields: { label, unit } })]

  test('supplies the lead of the only channel', () => {
    expect(parseRecording(edf('ECG'), { lead: 'I' }).leads.map(({ name }) => name)).toEqual(['I'])
    expect(codedError(() => parseRecording(edf('ECG'))).code).toBe('lead-unknown')
  })

  test('supplies the unit', () => {
    expect(parseRecording(edf('II', ''), { unit: 'uV' })).toEqual(parseRecording(edf('II')))
    expect(codedError(() => parseRecording(edf('II', ''))).code).toBe('unit-unknown')
  })

  test('supplies the rate', () => {
    expect(parseRecording([writeEdf(one, { fields: { recordSeconds: '0' } })], { rateHz: 250 }).rateHz).toBe(250)
  })

  test.each([
    ['an ECG beside a respiration', ['ECG', 'Resp'], 'uV'],
    ['an EKG beside an ECG of the chest', ['EKG', 'Pleth'], '%'],
  ])('names the only channel labelled as an ECG: %s', (_, [ecg, other], unit) => {
    const two = syntheticRecording({ seconds: 0.4, rateHz: 250, leads: ['I', 'II'] })
    const file = writeEdf(two)
    const bytes = Buffer.from(file.bytes)
    bytes.write(ecg!.padEnd(16), 256)
    bytes.write(other!.padEnd(16), 256 + 16)
    bytes.write(unit.padEnd(8), 256 + 2 * 96 + 8)

    const { leads } = parseRecording([{ ...file, bytes }], { lead: 'I' })

    expect(leads.map(({ name, samples }) => [name, ...samples])).toEqual([['I', ...two.leads[0]!.samples]])
  })
})

describe('a caller’s statement about the person', () => {
  const files = writeWfdb(one, { comments: ['Age: 71', 'Sex: F'] })

  test('overrides the file, and a difference causes a warning', () => {
    expect(parseRecording(files, { sex: 'male', ageYears: 30 })).toMatchObject({
      person: { sex: 'male', ageYears: 30 },
      warnings: [
        { code: 'person-doubtful', field: 'sex' },
        { code: 'person-doubtful', field: 'age' },
      ],
    })
  })

  test('causes no warning when the file agrees', () => {
    const recording = parseRecording(files, { sex: 'female', ageYears: 72 })

    expect([recording.person, recording.warnings]).toEqual([{ sex: 'female', ageYears: 72 }, undefined])
  })
})
