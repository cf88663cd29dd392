import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import type { Recording } from '../../../shared/domain/recording.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { screenWindow } from '../../../shared/inference/screen.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { chooseWindow } from '../../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { parseRecording, readRecording, type SourceFile } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { writeWaveform } from '../../helpers/dicom-writer.ts'
import { writeEdf } from '../../helpers/edf-writer.ts'
import { ecgObservation } from '../../helpers/fhir-observations.ts'
import { csvOf, text, windowOf } from '../../helpers/format-samples.ts'
import { writeIshne } from '../../helpers/ishne-writer.ts'
import { writeScp } from '../../helpers/scp-writer.ts'
import { writeWfdb } from '../../helpers/wfdb-writer.ts'
import { writeAecg, writeMuse, writeSierra } from '../../helpers/xml-writers.ts'

/** As near as two results of one ECG must be, in probability and as a share of an index. */
const TOLERANCE = 1e-3

const STORED_BY_MUSE = ['I', 'II', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

/** One ECG in every format that we can write. */
const WRITERS: Readonly<Record<string, (recording: Recording) => readonly SourceFile[]>> = {
  aecg: (recording) => [writeAecg(recording)],
  muse: ({ leads, ...recording }) => [
    writeMuse({ ...recording, leads: leads.filter(({ name }) => STORED_BY_MUSE.includes(name)) }),
  ],
  sierra: ({ leads, ...recording }) => [
    writeSierra({
      ...recording,
      leads: leads.toSorted((a, b) => LEADS.indexOf(a.name) - LEADS.indexOf(b.name)),
    }),
  ],
  json: (recording) => [text('ecg.json', JSON.stringify(windowOf(recording)))],
  csv: (recording) => [text('ecg.csv', csvOf(recording))],
  wfdb: (recording) => writeWfdb(recording, { mat: true }),
  dicom: (recording) => [writeWaveform(recording)],
  edf: (recording) => [writeEdf(recording)],
  ishne: (recording) => [writeIshne(recording)],
  scp: (recording) => [writeScp(recording, { differences: 2 })],
  fhir: (recording) => [text('ecg.json', JSON.stringify(ecgObservation(recording)))],
}

const preparer = new WindowPreparer(CARDIACNETS_V1)
let screener: Screener

beforeAll(async () => {
  screener = await Screener.load(await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name))
})
afterAll(() => screener.release())

/** Without the person, because formats differ in what they store about one. */
async function screen(recording: Recording): Promise<Result> {
  const { prepared, inputSha256, ...span } = chooseWindow(preparer, recording, recording.heartRateBpm)
  const window = {
    ecgId: fileEcgId({ tenant: 'test', sha256: inputSha256 }),
    span: { startedAt: null, ...span },
    quality: prepared.quality,
    profile: CARDIACNETS_V1.name,
    inputSha256,
  }
  return screenWindow(screener, window, prepared.clean, 'test')
}

function farthest(one: Result, other: Result): number {
  expect([one.status, other.status]).toEqual(['screened', 'screened'])
  const findings = one.findings.map(({ probability }, i) => Math.abs(probability - other.findings[i]!.probability))
  const indices = one.indices.map(({ value }, i) => Math.abs(1 - other.indices[i]!.value / value))
  return Math.max(...findings, ...indices)
}

describe('an ECG in any format', () => {
  const demo = resolve(import.meta.dirname, '../../../functions/cli/demo/virtual-ecg.hea')

  test.each(Object.entries(WRITERS))('has the same result in %s', async (format, write) => {
    const original = await readRecording(demo)
    const recording = parseRecording(write(original))

    expect(recording).toMatchObject({ format, rateHz: original.rateHz })
    expect(recording.leads).toHaveLength(12)
    expect(farthest(await screen(original), await screen(recording))).toBeLessThanOrEqual(TOLERANCE)
  })
})

describe.skipIf(!hasData)(`a real ECG in any format${NO_DATA}`, () => {
  const zoo = (file: string) => readRecording(dataPath('format_zoo', file))

  test.each(Object.entries(WRITERS))('has the same result when rewritten as %s', async (_, write) => {
    const original = await zoo('wfdb_from_muse/muse-af.hea')

    expect(farthest(await screen(original), await screen(parseRecording(write(original))))).toBeLessThanOrEqual(
      TOLERANCE,
    )
  })

  test.each(['hl7_aecg/ecg-kit_ecg_hl7.xml', 'hl7_aecg/ecgtoolkit_Example.xml', 'scp_ecg/ecgtoolkit_Example.scp'])(
    'has the same result in %s as in the original aECG',
    async (file) => {
      const [original, copy] = [await zoo('hl7_aecg/fda_subject1_0.xml'), await zoo(file)]

      expect(copy.startedAt).toBe(original.startedAt)
      expect(farthest(await screen(original), await screen(copy))).toBeLessThanOrEqual(TOLERANCE)
    },
  )
})
