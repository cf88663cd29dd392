import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { findingText, type OruContent, type OruOptions, writeOru } from '../../../streams/hl7/oru-out.ts'
import { drawReport } from '../../../streams/hl7/report-page.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'

const OPTIONS: OruOptions = {
  sending: ['CARDIACNETS', 'WARD'],
  receiving: ['EHR', 'HOSP'],
  version: '2.5.1',
  processingId: 'P',
  codes: { findings: { cad: ['CAD^1', 'Coronary | disease', 'LOCAL'] } },
  allowsVirtual: true,
}
const CONTENT: OruContent = {
  result: makeResult(),
  order: { placer: 'P-1', filler: 'F-2', service: ['93000', 'ECG', 'C4'] },
  visit: { patient: '4711', authority: 'HOSP', bed: 'ICU^01^A' },
  controlId: 'C-1',
  at: new Date('2026-01-02T03:05:00Z'),
}

const oru = (content: Partial<OruContent> = {}, options: Partial<OruOptions> = {}) =>
  parseMessage(writeOru({ ...CONTENT, ...content }, { ...OPTIONS, ...options }))
const obxOf = (message: ReturnType<typeof oru>, id: string) =>
  message.all('OBX').find((obx) => obx.text(3) === id || obx.text(4) === id)

describe('the ORU^R01 of a result', () => {
  it('answers the order with its numbers, and identifies the person by nothing else', () => {
    const message = oru()

    expect(message.type).toBe('ORU^R01')
    expect([message.first('OBR')!.text(2), message.first('OBR')!.text(3), message.first('OBR')!.text(4)]).toEqual([
      'P-1',
      'F-2',
      '93000',
    ])
    expect(message.first('PID')!.text(3)).toBe('4711')
    expect([1, 2, 4, 6, 7, 8, 11, 13, 19].map((field) => message.first('PID')!.raw(field))).toEqual([
      '1',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
      '',
    ])
  })

  it('states probability, threshold, flag and evidence of a finding in one preliminary OBX', () => {
    const cad = obxOf(oru(), 'cad')!

    expect(cad.text(5)).toBe("flagged; probability 0.410, threshold 0.300; learned from real patients' labels")
    expect([cad.text(7), cad.text(8), cad.text(11), cad.text(17)]).toEqual(['<0.300', 'A', 'P', 'real'])
    expect([cad.text(3), cad.text(3, 2), cad.text(3, 3)]).toEqual(['CAD^1', 'Coronary | disease', 'LOCAL'])
  })

  it('names the bundle branch block that raised the threshold of a finding', () => {
    const [finding] = makeResult().findings

    expect(findingText({ ...finding!, raisedBy: 'rbbb' })).toContain(
      'threshold 0.300 (raised: complete right bundle branch block); learned',
    )
  })

  it('states an index with its interval and method', () => {
    const lvEf = obxOf(oru(), 'lvEf')!

    expect([lvEf.text(2), lvEf.text(6, 3), lvEf.text(17)]).toEqual(['NM', 'UCUM', 'ecg-estimate-virtual'])
    expect(lvEf.text(7)).toMatch(/^[\d.]+-[\d.]+$/)
    expect(lvEf.text(17, 2)).toContain('90% interval')
  })

  it('leaves out what the site does not allow, and counts it', () => {
    const message = oru({}, { allowsVirtual: false })

    expect(message.all('OBX').flatMap((obx) => (obx.text(17) === '' ? [] : [obx.text(17)]))).toEqual(['real'])
    expect(obxOf(message, 'held-back')!.text(5)).toBe('86 numbers that learned from simulated people.')
  })

  it('states why a finding is withheld, in place of its flag', () => {
    const [cad, ...others] = makeResult().findings
    const withheld = { ...cad!, flagged: false, withheld: { reason: 'electrodes-exchanged' } } as const

    const message = oru({ result: makeResult({ findings: [withheld, ...others] }) })

    expect(obxOf(message, 'cad')!.text(5)).toMatch(/^withheld: electrodes-exchanged/)
    expect([obxOf(message, 'cad')!.text(7), obxOf(message, 'cad')!.text(8)]).toEqual(['', ''])
  })

  it('contains each warning with its code', () => {
    const warnings = [{ code: 'electrodes-exchanged', which: 'RA-LA' }] as const

    const obx = obxOf(oru({ result: makeResult({ warnings }) }), 'electrodes-exchanged')!

    expect(obx.text(5)).toContain('RA-LA')
    expect(obx.text(8)).toBe('A')
  })

  it('states only the reason for a refused ECG', () => {
    const message = oru({ result: makeRefusal() })

    expect(obxOf(message, 'signal-quality')!.text(5)).toBe('Refused by the quality gate: flat, lead-off. Not screened.')
    expect(obxOf(message, 'cad')).toBeUndefined()
  })

  it('marks a replacement as a correction', () => {
    const message = oru({ result: makeResult({ version: 2, supersedes: 1 }) })

    expect(message.first('OBR')!.text(25)).toBe('C')
    expect(new Set(message.all('OBX').map((obx) => obx.text(11)))).toEqual(new Set(['C']))
    expect(obxOf(message, 'supersedes')!.text(5)).toBe('Version 2; replaces version 1.')
  })

  it('contains the report as PDF', () => {
    const pdf = drawReport({ result: makeResult(), waveform: syntheticRecording(), order: {}, allowsVirtual: true })

    const obx = obxOf(oru({ pdf }), 'report')!

    expect(obx.text(2)).toBe('ED')
    expect(Buffer.from(obx.text(5, 5), 'base64').equals(pdf)).toBe(true)
  })
})

const hasPdfToText = spawnSync('pdftotext', ['-v']).error === undefined

describe('the PDF report', () => {
  const draw = (overrides = {}) =>
    drawReport({
      result: makeResult(overrides),
      waveform: syntheticRecording({ gainUv: 5 }),
      order: { placer: 'P-1' },
      allowsVirtual: true,
    })

  it('has a correct cross-reference table', () => {
    const pdf = draw()
    const start = Number(/startxref\n(\d+)/.exec(pdf.toString('latin1'))![1])

    expect(pdf.toString('latin1', start, start + 6)).toBe('xref\n0')
    for (const [index, [, offset]] of [...pdf.toString('latin1', start).matchAll(/^(\d{10}) 00000 n/gm)].entries()) {
      expect(pdf.toString('latin1', Number(offset)).startsWith(`${index + 1} 0 obj`)).toBe(true)
    }
  })

  it('draws the trace at 25 mm/s and 10 mm/mV', () => {
    const pdf = draw()
    const from = pdf.indexOf('stream\n') + 7
    const content = inflateSync(pdf.subarray(from, pdf.indexOf('\nendstream'))).toString('latin1')
    const traces = [...content.matchAll(/^1 j .* RG (.*) S$/gm)].map(([, path]) =>
      [...path!.matchAll(/([\d.-]+) ([\d.-]+) [ml]/g)].map(([, x, y]) => [Number(x), Number(y)] as const),
    )
    const strips = traces.filter((points) => points.length > 100)
    const through = strips.find((points) => points.length === 5000)!
    const mm = 72 / 25.4

    expect(strips).toHaveLength(13)
    expect((through.at(-1)![0] - through[0]![0]) / mm).toBeCloseTo((25 * 4999) / 500, 2)
    const heights = through.map(([, y]) => y)
    // The synthetic lead II is 1 mV at its R peaks and −0.2 mV at its S waves.
    expect((Math.max(...heights) - Math.min(...heights)) / mm / 10).toBeCloseTo(1.2, 0)
  })

  it.skipIf(!hasPdfToText)(
    `contains the findings and the order number${hasPdfToText ? '' : ' (skipped: no pdftotext)'}`,
    () => {
      const folder = mkdtempSync(join(tmpdir(), 'page-'))
      writeFileSync(join(folder, 'page.pdf'), draw({ version: 2, supersedes: 1 }))

      execFileSync('pdftotext', ['-layout', join(folder, 'page.pdf'), join(folder, 'page.txt')])

      const text = readFileSync(join(folder, 'page.txt'), 'utf8')
      rmSync(folder, { recursive: true })
      expect(text).toContain('order P-1')
      expect(text).toContain('CORRECTION. Version 2; replaces version 1.')
      expect(text).toContain('flagged; probability 0.410')
      expect(text).toContain('Not a medical device')
    },
  )

  it.skipIf(!hasPdfToText)(
    `breaks a line that is too long, and cuts none${hasPdfToText ? '' : ' (skipped: no pdftotext)'}`,
    () => {
      const long = {
        condition: 'hf',
        probability: 0.523,
        threshold: 0.5,
        flagged: true,
        borderline: true,
        evidence: 'teacher',
      } as const

      const text = execFileSync('pdftotext', ['-raw', '-', '-'], {
        input: draw({ findings: [long] }),
        encoding: 'utf8',
      })

      expect(text.replaceAll(/\s+/g, ' ')).toContain(
        "(borderline); probability 0.523, threshold 0.500; learned from a published model's reading of real ECGs",
      )
    },
  )
})
