import { describe, expect, it } from 'vitest'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { readOru } from '../../../streams/hl7/oru-in.ts'
import { writeWaveform } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeAecg, writeMuse } from '../../helpers/xml-writers.ts'
import { bytesOf, fileOru, header, waveOru } from './helpers.ts'

const ECG = syntheticRecording({ seconds: 2, gainUv: 5 })

const oru = (...obx: readonly string[]) =>
  parseMessage(bytesOf([header({ type: 'ORU^R01' }), 'OBR|1|P1|F1|93000^ECG^C4', ...obx]))

describe('readOru', () => {
  it('reads waveforms in OBX NA with order, patient, bed and device', () => {
    const { ecgs } = readOru(parseMessage(waveOru(ECG)))

    const [{ recording, order, visit, device }] = ecgs as [(typeof ecgs)[0]]
    const mv = ({ samples, gainUv }: (typeof recording.leads)[0]) =>
      [...samples].map((each) => Math.round(each * gainUv))
    expect(recording.rateHz).toBe(500)
    expect(recording.leads.map(({ name }) => name)).toEqual(ECG.leads.map(({ name }) => name))
    expect(recording.leads.map(mv)).toEqual(ECG.leads.map(mv))
    expect(recording.startedAt).toBe('2026-01-02T03:04:05.000Z')
    expect(order).toEqual({ placer: 'PLACER-1', filler: 'FILLER-9', service: ['93000', 'ECG 12 leads', 'C4'] })
    expect(visit).toEqual({ patient: '4711', authority: 'HOSP', bed: 'ICU^01^A' })
    expect(device).toBe('MONITOR-7')
  })

  it.each([
    ['aECG', writeAecg(ECG).bytes],
    ['MUSE', writeMuse(ECG).bytes],
    ['DICOM', writeWaveform(ECG).bytes],
  ])('reads a file of %s in OBX ED', (_, bytes) => {
    const { ecgs } = readOru(parseMessage(fileOru(bytes)))

    expect(ecgs.map(({ recording }) => recording.leads.length)).toEqual([ECG.leads.length])
  })

  it('reads the ECG and counts the PDF when both are present', () => {
    const pdf = Buffer.from('%PDF-1.4 page').toString('base64')
    const xml = Buffer.from(writeMuse(ECG).bytes).toString('base64')

    const read = readOru(oru(`OBX|1|ED|x||A^application^pdf^Base64^${pdf}`, `OBX|2|ED|x||A^text^xml^Base64^${xml}`))

    expect(read.pdfs).toBe(1)
    expect(read.ecgs).toHaveLength(1)
  })

  it('reads multiplexed samples by their channel definition', () => {
    const read = readOru(
      oru(
        'OBX|1|CD|||1&I^^5&uV^1&100^250~2&II^^2.5&uV^1&0^250',
        `OBX|2|MA|||${Array.from({ length: 250 }, (_, i) => `${i}^${-i}`).join('~')}`,
      ),
    )

    const [{ recording }] = read.ecgs as [(typeof read.ecgs)[0]]
    expect(recording.rateHz).toBe(250)
    expect(recording.leads.map(({ name, samples, gainUv }) => [name, samples[10]! * gainUv])).toEqual([
      ['I', (10 - 100) * 5],
      ['II', -25],
    ])
  })

  it('keeps missing samples as missing', () => {
    const { ecgs } = readOru(oru('OBX|1|NA|MDC_ECG_LEAD_II||1^^3|uV'), { rateHz: 500 })

    expect([...ecgs[0]!.recording.leads[0]!.samples]).toEqual([1, MISSING_SAMPLE, 3])
  })

  it('applies the site’s settings for a sender', () => {
    const { ecgs } = readOru(oru('OBX|1|NA|LD2||1^2^3'), { rateHz: 250, gainUv: 5, leads: { LD2: 'II' } })

    expect(ecgs[0]!.recording.rateHz).toBe(250)
    expect(ecgs[0]!.recording.leads.map(({ name, gainUv, samples }) => [name, samples[2]! * gainUv])).toEqual([
      ['II', 15],
    ])
  })

  it.each([
    ['no OBX', [], 'lead-missing', 'OBX'],
    ['a pulse wave only', ['OBX|1|NA|MDC_PULS||1^2|mV'], 'lead-unknown', 'OBX[2].3'],
    ['no rate', ['OBX|1|NA|MDC_ECG_LEAD_II||1^2|mV'], 'rate-unsupported', 'OBX[2].5'],
    ['no unit', ['OBX|1|NA|II||1^2', 'OBX|2|NM|SAMP_RATE||500'], 'unit-unknown', 'OBX[2].6'],
    ['an unknown unit', ['OBX|1|NA|II||1^2|mmHg', 'OBX|2|NM|SAMP_RATE||500'], 'unit-unknown', 'OBX[2].6'],
    ['text among the samples', ['OBX|1|NA|II||1^two|mV', 'OBX|2|NM|SAMP_RATE||500'], 'sample-invalid', 'OBX[2].5'],
    [
      'a duplicate lead',
      ['OBX|1|NA|II||1|mV', 'OBX|2|NA|II||1|mV', 'OBX|3|NM|SAMP_RATE||500'],
      'lead-duplicate',
      'OBX[2].5',
    ],
    ['invalid base64', ['OBX|1|ED|x||A^text^xml^Base64^<xml>'], 'payload-malformed', 'OBX[2].5'],
    [
      'a file that is not an ECG',
      [`OBX|1|ED|x||A^text^xml^Base64^${Buffer.from('{}').toString('base64')}`],
      'format-unknown',
      'OBX[2].5',
    ],
    [
      'an ECG that lacks a field',
      [`OBX|1|ED|x||A^text^xml^Base64^${Buffer.from('{"rateHz":500}').toString('base64')}`],
      'field-invalid',
      'OBX[2].5',
    ],
    ['an empty file', ['OBX|1|ED|x||A^text^xml^Base64^'], 'payload-empty', 'OBX[2].5'],
  ])('refuses a message with %s, and names the segment', (_, obx, code, field) => {
    expect(() => readOru(oru(...obx))).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ field }) }),
    )
  })

  it('converts local times by the site’s time zone', () => {
    const message = oru('OBX|1|NA|II||1^2|mV|||||P|||20260702120000')

    const { ecgs } = readOru(message, { rateHz: 500, timeZone: 'Europe/Berlin' })

    expect(ecgs[0]!.recording.startedAt).toBe('2026-07-02T10:00:00.000Z')
  })
})
