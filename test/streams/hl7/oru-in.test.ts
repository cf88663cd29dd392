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
    ['no samples in any lead', ['OBX|1|NA|I|||mV', 'OBX|2|NM|SAMP_RATE||500'], 'payload-empty', 'OBX[2].5'],
    ['an ECG of the wrong patient', ['OBX|1|NA|I||1|mV|||||W'], 'format-unsupported', 'OBX[2].11'],
    ['a deleted file', ['OBX|1|ED|x||A^text^xml^Base64^AAAA||||||D'], 'format-unsupported', 'OBX[2].11'],
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

  describe('of several patients', () => {
    const wave = (patient: string) => [
      `PID|1||${patient}^^^HOSP^MR`,
      `PV1|1|I|ICU^0${patient}^A`,
      `ORC|RE|P${patient}`,
      'OBR|1|||93000^ECG^C4',
      `OBX|1|NA|II||${patient}^2|mV`,
    ]
    const message = (...segments: readonly string[]) =>
      readOru(parseMessage(bytesOf([header({ type: 'ORU^R01' }), ...segments])), { rateHz: 500 })
    const aboutEach = ({ ecgs }: ReturnType<typeof readOru>) =>
      ecgs.map(({ recording, visit, order }) => [
        recording.leads[0]!.samples[0]! * recording.leads[0]!.gainUv,
        visit.patient,
        visit.bed,
        order.placer,
      ])

    it('gives each ECG to the patient, bed and order above it', () => {
      expect(aboutEach(message(...wave('1'), ...wave('2')))).toEqual([
        [1000, '1', 'ICU^01^A', 'P1'],
        [2000, '2', 'ICU^02^A', 'P2'],
      ])
    })

    it('gives no ECG to the bed or the order of another', () => {
      const [pid, , , ...rest] = wave('2')

      expect(aboutEach(message(...wave('1'), pid!, ...rest))[1]).toEqual([2000, '2', undefined, undefined])
    })

    it('gives every ECG of a message to its only patient and order, wherever these are', () => {
      const [pid, pv1, orc, ...rest] = wave('1')

      expect(aboutEach(message(orc!, ...rest, ...rest, pid!, pv1!))).toEqual([
        [1000, '1', 'ICU^01^A', 'P1'],
        [1000, '1', 'ICU^01^A', 'P1'],
      ])
    })
  })

  describe('of files', () => {
    const xml = Buffer.from(writeMuse(ECG).bytes).toString('base64')
    const picture = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]).toString('base64')

    it('reads the ECG beside a picture', () => {
      const read = readOru(oru(`OBX|1|ED|x||A^image^jpeg^Base64^${picture}`, `OBX|2|ED|x||A^text^xml^Base64^${xml}`))

      expect([read.ecgs.length, read.pdfs]).toEqual([1, 1])
    })

    it('refuses a picture alone, also beside a PDF', () => {
      const pdf = Buffer.from('%PDF-1.4 page').toString('base64')
      const message = oru(`OBX|1|ED|x||A^application^pdf^Base64^${pdf}`, `OBX|2|ED|x||A^image^jpeg^Base64^${picture}`)

      expect(() => readOru(message)).toThrow('format-unknown: field=OBX[3].5 within=file')
    })

    it.each([
      ['repeated in one OBX', `A^application^pdf^Base64^JVBERi0x~A^text^xml^Base64^${xml}`, 1],
      ['with empty components at the end', `A^text^xml^Base64^${xml}^^`, 0],
      ['with lines of 76 characters', `A^text^xml^Base64^${xml.replace(/.{76}/g, '$&\r\n')}`, 0],
      ['with escaped line ends', `A^text^xml^Base64^${xml.replace(/.{76}/g, '$&\\.br\\')}`, 0],
      ['with nothing but data', xml, 0],
    ])('reads a file %s', (_, value, pdfs) => {
      const read = readOru(oru(`OBX|1|ED|x||${value}||||||F`))

      expect([read.ecgs.length, read.pdfs]).toEqual([1, pdfs])
      expect(read.ecgs[0]!.recording.leads).toHaveLength(ECG.leads.length)
    })

    it('reads XML that is not encoded, over several lines', () => {
      const text = Buffer.from(writeAecg(ECG).bytes).toString().replaceAll('><', '>\n<').replaceAll('^', '\\S\\')

      expect(readOru(oru(`OBX|1|ED|x||A^text^xml^A^${text}`)).ecgs).toHaveLength(1)
    })
  })

  it('leaves out a lead without samples, and says so', () => {
    const { ecgs } = readOru(oru('OBX|1|NA|I||1^2|mV', 'OBX|2|NA|V1||""|mV', 'OBX|3|NA|V2|||mV'), { rateHz: 500 })

    expect(ecgs[0]!.recording.leads.map(({ name }) => name)).toEqual(['I'])
    expect(ecgs[0]!.recording.warnings).toEqual([{ code: 'lead-left-out', leads: ['V1', 'V2'] }])
  })

  it('leaves out a result that could not be obtained (OBX-11 X)', () => {
    const { ecgs } = readOru(oru('OBX|1|NA|I||1^2|mV|||||F', 'OBX|2|NA|II||0^0|mV|||||X'), { rateHz: 500 })

    expect(ecgs[0]!.recording.leads.map(({ name }) => name)).toEqual(['I'])
  })

  it('converts local times by the site’s time zone', () => {
    const message = oru('OBX|1|NA|II||1^2|mV|||||P|||20260702120000')

    const { ecgs } = readOru(message, { rateHz: 500, timeZone: 'Europe/Berlin' })

    expect(ecgs[0]!.recording.startedAt).toBe('2026-07-02T10:00:00.000Z')
  })
})
