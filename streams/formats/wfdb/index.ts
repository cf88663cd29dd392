/**
 * WFDB, the format of PhysioNet: a text header (`.hea`) beside signal files (`.dat`, `.mat`, `.xyz`, …).
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, type RecordedLead, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { type Format, microvolts, refuseDuplicates, type SourceFile, sniffText } from '../format.ts'
import { looksLikeHeader, parseHeader, type WfdbHeader, type WfdbSignal } from './header.ts'
import { personOfComments } from './person.ts'
import { LAYOUTS, readSignal } from './signals.ts'

export const wfdb: Format = {
  name: 'wfdb',
  mainExtension: '.hea',
  detects(bytes) {
    const text = sniffText(bytes)
    return text !== undefined && looksLikeHeader(text)
  },
  companions: (main) => [...new Set(ecgSignals(parseHeader(main)).map(({ signal }) => signal.fileName))],
  parse: (main, others) => parse(main.bytes, others),
}

/** A signal that is one of the twelve leads. */
interface EcgSignal {
  readonly name: LeadName
  readonly signal: WfdbSignal
  /** Its place in the frames of its file, and how many signals share them. */
  readonly place: number
  readonly signalsInFile: number
}

/**
 * Reads a record. Channels that are no standard lead (Frank leads, respiration) are left out, and their files need not be there.
 * @throws CodedError `file-not-found`, `payload-malformed`, `payload-too-large`, `format-unsupported`, `lead-unknown`, `unit-unknown`,
 *   `gain-invalid`, and those of `checkRecording`
 */
export function parse(headerBytes: Uint8Array, files: readonly SourceFile[]): Recording {
  const header = parseHeader(headerBytes)
  const signals = ecgSignals(header)
  const samples = header.samples ?? samplesInFile(signals[0]!, files)
  checkDuration(samples, header.rateHz, 'samples')
  return checkRecording({
    format: 'wfdb',
    rateHz: header.rateHz,
    leads: signals.map((signal) => readLead(signal, files, samples)),
    startedAt: header.startedAt,
    person: personOfComments(header.comments),
  })
}

function ecgSignals({ signals }: WfdbHeader): EcgSignal[] {
  const found: EcgSignal[] = []
  for (const signal of signals) {
    const name = findLead(signal.description)
    if (name === undefined) continue
    // A header is no reason to read anything outside its own folder.
    if (!isPlainFileName(signal.fileName)) throw new CodedError('field-invalid', { line: signal.line, field: 'file' })
    const file = signals.filter(({ fileName }) => fileName === signal.fileName)
    for (const { line, format, samplesPerFrame, skew, byteOffset } of file) {
      if (!LAYOUTS.has(format)) throw new CodedError('format-unsupported', { line, field: 'format' })
      if (samplesPerFrame !== 1) throw new CodedError('format-unsupported', { line, field: 'samplesPerFrame' })
      if (skew !== 0) throw new CodedError('format-unsupported', { line, field: 'skew' })
      if (format !== file[0]!.format || byteOffset !== file[0]!.byteOffset)
        throw new CodedError('payload-malformed', { line, field: 'format' })
    }
    found.push({ name, signal, place: file.indexOf(signal), signalsInFile: file.length })
  }
  if (found.length === 0) throw new CodedError('lead-unknown', { field: 'description' })
  refuseDuplicates(found, 'description')
  return found
}

function readLead(ecgSignal: EcgSignal, files: readonly SourceFile[], count: number): RecordedLead {
  const { name, signal, place, signalsInFile } = ecgSignal
  const { line, gain, unit, baseline, checksum } = signal
  // header(5): a gain of zero, or none, marks a signal that is not calibrated; what 200 would make of it is a guess.
  if (gain === undefined || !(gain > 0)) throw new CodedError('gain-invalid', { line, field: 'gain' })
  const gainUv = microvolts(unit, `signals[${line}].unit`) / gain
  const layout = LAYOUTS.get(signal.format)!
  const body = signalBytes(signal, files)
  if (body.length < layout.bytes(count * signalsInFile))
    throw new CodedError('payload-malformed', {
      line,
      field: 'samples',
      expectedBytes: layout.bytes(count * signalsInFile),
    })
  const samples = new Int32Array(count)
  const sum = readSignal(layout, body, place, signalsInFile, baseline, samples)
  if (sum === undefined) throw new CodedError('sample-invalid', { line, field: 'baseline' })
  if (checksum !== undefined && checksum !== sum) throw new CodedError('payload-malformed', { line, field: 'checksum' })
  return { name, gainUv, samples }
}

/** The bytes of a signal's file that hold samples. */
function signalBytes({ line, fileName, byteOffset }: WfdbSignal, files: readonly SourceFile[]): Uint8Array {
  const file = files.find(({ name }) => name === fileName)
  if (file === undefined) throw new CodedError('file-not-found', { line, field: 'file' })
  return file.bytes.subarray(byteOffset)
}

function samplesInFile({ signal, signalsInFile }: EcgSignal, files: readonly SourceFile[]): number {
  const layout = LAYOUTS.get(signal.format)!
  return Math.floor(layout.samples(signalBytes(signal, files).length) / signalsInFile)
}

const isPlainFileName = (name: string) =>
  /^[^/\\:\0]+$/.test(name) && !/^\.+$/.test(name) && name !== '-' && name !== '~'
