/**
 * Files of every format to begin from: small ones of our own, and the real ones of the zoo.
 * @module
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import { crcCcitt } from '../../streams/formats/crc.ts'
import type { SourceFile } from '../../streams/formats/format.ts'
import type { ReadOptions } from '../../streams/formats/index.ts'
import { CONTEC_LEADS, writeContec } from './contec-writer.ts'
import { dataPath } from './data-folder.ts'
import { writeWaveform } from './dicom-writer.ts'
import { writeEdf } from './edf-writer.ts'
import { ecgObservation } from './fhir-observations.ts'
import { writeIshne } from './ishne-writer.ts'
import { writeMfer } from './mfer-writer.ts'
import { syntheticRecording } from './recordings.ts'
import { sealScp, writeScp } from './scp-writer.ts'
import { writeWfdb } from './wfdb-writer.ts'
import { writeAecg, writeMuse, writeSierra } from './xml-writers.ts'

export interface FormatSample {
  readonly format: string
  readonly name: string
  /** The main file first. */
  readonly files: readonly SourceFile[]
  /** What the file leaves out. */
  readonly options?: ReadOptions
}

/** Files of our own, a few kilobytes each. */
export function ownSamples(): FormatSample[] {
  const all = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 5 })
  const two = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 5, leads: ['I', 'II'] })
  const fine = syntheticRecording({ seconds: 0.4, rateHz: 250, leads: ['I', 'II'] })
  const coarse = syntheticRecording({ seconds: 0.4, rateHz: 250, gainUv: 20, leads: ['I', 'II'] })
  const contec = syntheticRecording({ seconds: 0.1, rateHz: 800, gainUv: 5, leads: CONTEC_LEADS })
  const sample = (format: string, name: string, ...files: readonly SourceFile[]) => ({ format, name, files })
  return [
    sample('aecg', 'aecg', writeAecg(two)),
    sample('muse', 'muse', writeMuse(two)),
    sample('sierra', 'xli', writeSierra(all)),
    sample('sierra', 'plain', writeSierra(two, { coding: 'plain' })),
    sample('sierra', '1.03', writeSierra(all, { version: '1.03', coding: 'base64' })),
    sample('json', 'window', text('ecg.json', JSON.stringify({ ...windowOf(two), heartRateBpm: 72 }))),
    sample('json', 'zzu', text('zzu.json', JSON.stringify(zzuOf(two)))),
    sample('csv', 'csv', text('ecg.csv', csvOf(two))),
    { ...sample('csv', 'movesense', text('MeasECGmV.csv', movesenseOf(two))), options: { lead: 'I' } },
    ...([16, 24, 32, 61, 160, 212, 310, 311] as const).map((layout) =>
      sample('wfdb', String(layout), ...writeWfdb(layout > 200 ? coarse : two, { format: layout })),
    ),
    sample('wfdb', 'mat', ...writeWfdb(all, { mat: true, comments: ['Age: 71', 'Sex: F'] })),
    sample('dicom', 'explicit', writeWaveform(two)),
    sample('dicom', 'implicit', writeWaveform(two, { syntax: 'implicit', undefinedLengths: true })),
    sample('dicom', 'deflated', writeWaveform(two, { syntax: 'deflated' })),
    sample('edf', 'edf', writeEdf(two)),
    sample('edf', 'bdf+', writeEdf(fine, { bits: 24, variant: 'BDF+D' })),
    sample('contec', 'contec', writeContec(contec)),
    sample('ishne', 'ishne', writeIshne(two)),
    sample('scp', 'huffman', writeScp(two, { differences: 2 })),
    sample('scp', 'own tables', writeScp(two, { huffman: 'custom', differences: 1 })),
    sample('scp', 'bimodal', writeScp(two, { bimodal: { factor: 4, protectedSpans: [{ start: 20, end: 39 }] } })),
    sample('mfer', 'int16', writeMfer(two)),
    sample('mfer', 'int32', writeMfer(two, { dataType: 2, littleEndian: false })),
    sample('fhir', 'observation', text('ecg.json', JSON.stringify(ecgObservation(two)))),
  ]
}

/** Real files, by the folder that they lie in. */
const ZOO_FORMATS: Readonly<Record<string, string>> = {
  contec: 'contec',
  csv: 'csv',
  dicom: 'dicom',
  fhir: 'fhir',
  ge_muse_xml: 'muse',
  hl7_aecg: 'aecg',
  ishne: 'ishne',
  json_zzu_pecg: 'json',
  mfer: 'mfer',
  movesense: 'csv',
  philips_sierra: 'sierra',
  scp_ecg: 'scp',
  sph_h5: 'hdf5',
  wfdb_from_muse: 'wfdb',
  wfdb_python: 'wfdb',
}

/** No recording of their own: annotations, a table of contents, the signals of a header. */
const BESIDE = ['.ann', '.atr', '.dat', '.mat', '.xyz']

/** Paths of the zoo's recordings within it, and what they leave out. */
function zooFiles(): { file: string; format: string; options: ReadOptions }[] {
  return Object.entries(ZOO_FORMATS).flatMap(([folder, format]) =>
    readdirSync(dataPath('format_zoo', folder))
      .filter((name) => !BESIDE.includes(extname(name)) && name !== 'index.json')
      .map((name) => ({
        file: join(folder, name),
        format: name.endsWith('.edf') ? 'edf' : format,
        options: folder === 'movesense' ? { lead: 'I' } : {},
      })),
  )
}

export function zooSamples(): FormatSample[] {
  return zooFiles().map(({ file, format, options }) => {
    const path = dataPath('format_zoo', file)
    const stem = basename(path, extname(path))
    const beside = format === 'wfdb' ? readdirSync(dirname(path)).filter((name) => name.startsWith(`${stem}.`)) : []
    const names = [basename(path), ...beside.filter((name) => name !== basename(path) && !name.endsWith('.atr'))]
    const files = names.map((name) => ({ name, bytes: readFileSync(join(dirname(path), name)) }))
    return { format, name: file, files, options }
  })
}

/** A file with the checksums of its format made right again, so that what they guard is reached. */
export function resealed(format: string, { name, bytes }: SourceFile): SourceFile {
  if (format === 'muse')
    return text(
      name,
      Buffer.from(bytes)
        .toString('latin1')
        .replaceAll(/CRC32>\d+</g, 'CRC32>0<'),
    )
  if (format === 'ishne' && bytes.length >= 522) {
    const copy = Buffer.from(bytes)
    const variable = Math.min(Math.max(copy.readInt32LE(10), 0), copy.length - 522)
    copy.writeUInt16LE(crcCcitt(copy.subarray(10, 522 + variable)), 8)
    return { name, bytes: copy }
  }
  if (format === 'scp' && bytes.length >= 6) return { name, bytes: sealScp(bytes) }
  return { name, bytes }
}

export const text = (name: string, content: string): SourceFile => ({ name, bytes: Buffer.from(content, 'latin1') })

export function windowOf({ rateHz, leads }: Recording) {
  return {
    rateHz,
    sessionStartedAtMs: 1_700_000_000_000,
    person: { sex: 'female', ageYears: 71 },
    leads: leads.map(({ name, gainUv }) => ({ name, gainUv })),
    samples: leads.flatMap(({ samples }) => Array.from(samples, (value) => (value === MISSING_SAMPLE ? null : value))),
  }
}

function zzuOf({ rateHz, leads }: Recording) {
  const mv = leads.map(({ name, gainUv, samples }) => [name, Array.from(samples, (value) => (value * gainUv) / 1000)])
  return {
    signal: { leads: Object.fromEntries(mv), sampleRate: rateHz },
    patient: { age: '14.9 yr', sex: 'F', testDateTime: '2021-08-25 17:48:02' },
    source: { dataset: 'ZZU pECG' },
  }
}

export function csvOf({ rateHz, leads }: Recording): string {
  const rows = Array.from(leads[0]!.samples, (_, i) => leads.map(({ gainUv, samples }) => samples[i]! * gainUv).join())
  return `# rate: ${rateHz}\n# unit: uV\n${leads.map(({ name }) => name).join()}\n${rows.join('\n')}\n`
}

/** Packets of four samples. */
function movesenseOf({ rateHz, leads: [lead] }: Recording): string {
  const rows = Array.from(lead!.samples, (value, i) => {
    const time = Math.floor(i / 4) * ((4 * 1000) / rateHz) + (i % 4)
    return `${time},${(value * lead!.gainUv) / 1000}`
  })
  return `Timestamp,Value\n${rows.join('\n')}\n`
}
