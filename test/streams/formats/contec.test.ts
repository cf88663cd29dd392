import { describe, expect, test } from 'vitest'
import { MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { parseRecording, readRecording } from '../../../streams/formats/index.ts'
import { CONTEC_LEADS, writeContec } from '../../helpers/contec-writer.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { codedError } from '../../helpers/errors.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const short = syntheticRecording({ seconds: 0.1, rateHz: 800, gainUv: 5, leads: CONTEC_LEADS })

describe('the Contec reader', () => {
  test('reads every sample, the start and the person, but no identity', () => {
    const recording = parseRecording([writeContec(short)])

    expect(recording).toMatchObject({ format: 'contec', rateHz: 800, startedAt: '2024-03-02T04:05:06.000Z' })
    expect(recording.person).toEqual({ sex: 'female', ageYears: 61, weightKg: 72 })
    expect(fingerprints(recording)).toEqual(fingerprints(short))
    expect(JSON.stringify(recording)).not.toContain('Jane')
  })

  test('gives no person when the device stored none', () => {
    expect(parseRecording([writeContec(short, undefined, [255, 0, 0])]).person).toBeUndefined()
  })

  test('marks samples of a loose electrode as missing', () => {
    const loose = {
      ...short,
      leads: short.leads.map((lead) => ({ ...lead, samples: Int32Array.of(1, MISSING_SAMPLE) })),
    }

    expect(parseRecording([writeContec(loose)]).leads[7]!.samples).toEqual(Int32Array.of(1, MISSING_SAMPLE))
  })

  test.each([
    ['truncated', (bytes: Uint8Array) => bytes.subarray(0, -1), 'payload-malformed'],
    ['only a header', (bytes: Uint8Array) => bytes.subarray(0, 43), 'payload-malformed'],
    ['half a header', (bytes: Uint8Array) => bytes.subarray(0, 20), 'payload-malformed'],
    ['empty of samples', (bytes: Uint8Array) => bytes.subarray(0, 80), 'payload-empty'],
  ])('refuses a file that is %s', (_, change, code) => {
    const { name, bytes } = writeContec(short)

    expect(codedError(() => parseRecording([{ name, bytes: change(bytes) }], { format: 'contec' })).code).toBe(code)
  })

  test('gives no start for a date that does not exist', () => {
    expect(parseRecording([writeContec(short, '2024-02-30 00:00:00')]).startedAt).toBeUndefined()
  })
})

describe.skipIf(!hasData)(`a real Contec file${NO_DATA}`, () => {
  test('agrees with the EDF file of the same recording in every sample', async () => {
    const recording = await readRecording(dataPath('format_zoo/contec/0000050.ECG'))

    const edf = await readRecording(dataPath('format_zoo/contec/0000050.ECG.edf'))
    const samplesOf = ({ leads }: Recording, name: string) => leads.find((lead) => lead.name === name)!.samples
    const [two, three] = [samplesOf(recording, 'II'), samplesOf(recording, 'III')]
    expect(recording).toMatchObject({ rateHz: edf.rateHz, startedAt: edf.startedAt })
    expect(recording.person).toBeUndefined()
    expect(two).toEqual(samplesOf(edf, 'II'))
    expect(three).toEqual(samplesOf(edf, 'III'))
    expect(two.map((sample, i) => sample - three[i]!)).toEqual(samplesOf(edf, 'I'))
    // The chest electrodes were off; EDF cannot express that and has zeros.
    expect(samplesOf(recording, 'V1').every((sample) => sample === MISSING_SAMPLE)).toBe(true)
    expect(samplesOf(edf, 'V1').every((sample) => sample === 0)).toBe(true)
  })
})
