/**
 * WFDB, the format of PhysioNet: a text header (`.hea`) with signal files (`.dat`, `.mat`, `.xyz`, …).
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, type RecordedLead, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import { type Format, type ReadOptions, type SourceFile, sniffText } from '../format.ts'
import { microvolts } from '../units.ts'
import { looksLikeHeader, parseHeader, type WfdbSignal } from './header.ts'
import { personOfComments } from './person.ts'
import { LAYOUTS, readSignal, type SampleLayout } from './signals.ts'

export const wfdb: Format = {
  name: 'wfdb',
  mainExtension: '.hea',
  detects(bytes) {
    const text = sniffText(bytes)
    return text !== undefined && looksLikeHeader(text)
  },
  companions: (main, options) => {
    const { signals } = parseHeader(main, options)
    return [...new Set(ecgSignals(signals, options, []).map(({ channel }) => channel.fileName))]
  },
  parse: (main, others, options) => parse(main.bytes, others, options),
}

/**
 * Reads a record. Channels that are not standard leads (Frank leads, respiration) are left out, and their files may be missing. Unreadable
 * leads are left out, and files that are shorter than stated are read as far as they go. These cases, and wrong checksums, give warnings.
 * @throws CodedError `file-not-found`, `payload-malformed`, `payload-empty`, `payload-too-large`, `format-unsupported`, `lead-unknown`,
 * `unit-unknown`, `gain-invalid`, and those of `checkRecording`
 */
function parse(headerBytes: Uint8Array, files: readonly SourceFile[], options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  const header = parseHeader(headerBytes, options)
  const leads = ecgSignals(header.signals, options, warnings).map(({ name, channel }) => {
    const sharing = header.signals.filter(({ fileName }) => fileName === channel.fileName)
    return { name, signal: channel, sharing }
  })
  const there = Math.min(...leads.map((lead) => samplesInFile(lead, files)))
  const samples = Math.min(header.samples ?? there, there)
  if (samples === 0) throw new CodedError('payload-empty', { field: 'samples' })
  if (header.samples !== undefined && samples < header.samples)
    warnings.push({ code: 'samples-left-out', field: `sample ${samples}` })
  checkDuration(samples, header.rateHz, 'samples')
  const off: LeadName[] = []
  const read = (lead: EcgSignal) => readLead(lead, files, samples, { stated: header.samples, options, off })
  const recorded = readableLeads(leads, read, warnings)
  // All checksums are wrong and the file has another length: the header describes other signals than the file contains.
  if (off.length === recorded.length && header.samples !== undefined && there > header.samples)
    throw new CodedError('payload-malformed', { field: 'signals' })
  if (off.length > 0) warnings.push({ code: 'checksum-mismatch', field: 'header', leads: off })
  return checkRecording({
    format: 'wfdb',
    rateHz: header.rateHz,
    leads: recorded,
    startedAt: header.startedAt,
    person: personOfComments(header.comments),
    ...said(warnings),
  })
}

/** A signal that is one of the twelve leads, and the signals that share its file. */
interface EcgSignal {
  readonly name: LeadName
  readonly signal: WfdbSignal
  readonly sharing: readonly WfdbSignal[]
}

function ecgSignals(signals: readonly WfdbSignal[], options: ReadOptions, warnings: ResultWarning[]) {
  const factsOf = ({ description, unit }: WfdbSignal) => ({ lead: findLead(description), label: description, unit })
  const leads = leadsAmong(signals, factsOf, options, 'description', warnings)
  for (const { channel } of leads) {
    // A header must not lead to files outside its own folder.
    if (!isPlainFileName(channel.fileName)) throw new CodedError('field-invalid', { line: channel.line, field: 'file' })
  }
  return leads
}

/** @throws CodedError when the frames of a file cannot be separated */
function layoutOf({ signal, sharing }: EcgSignal): SampleLayout {
  const layout = LAYOUTS.get(signal.format)
  if (layout === undefined) throw new CodedError('format-unsupported', { line: signal.line, field: 'format' })
  for (const { line, format, samplesPerFrame, byteOffset } of sharing) {
    if (samplesPerFrame !== 1) throw new CodedError('format-unsupported', { line, field: 'samplesPerFrame' })
    if (format !== signal.format || byteOffset !== signal.byteOffset)
      throw new CodedError('payload-malformed', { line, field: 'format' })
  }
  return layout
}

function readLead(
  lead: EcgSignal,
  files: readonly SourceFile[],
  count: number,
  { stated, options, off }: { stated: number | undefined; options: ReadOptions; off: LeadName[] },
): RecordedLead {
  const { name, signal, sharing } = lead
  const { line, gain, unit, baseline, checksum, skew } = signal
  if (skew !== 0) throw new CodedError('format-unsupported', { line, field: 'skew' })
  // header(5): a gain of zero, or none, marks an uncalibrated signal; the default of 200 would be a guess.
  if (gain === undefined || !(gain > 0)) throw new CodedError('gain-invalid', { line, field: 'gain' })
  const gainUv = microvolts(options.unit ?? unit, `signals[${line}].unit`) / gain
  const samples = new Int32Array(count)
  const body = signalBytes(signal, files)
  const sum = readSignal(layoutOf(lead), body, sharing.indexOf(signal), sharing.length, baseline, samples)
  if (sum === undefined) throw new CodedError('sample-invalid', { line, field: 'baseline' })
  // The checksum covers all samples that the header states, so it is not valid for fewer.
  const isWhole = stated === undefined || stated === count
  if (isWhole && checksum !== undefined && checksum !== sum) off.push(name)
  return { name, gainUv, samples }
}

/** The bytes of a signal's file that contain samples. */
function signalBytes({ line, fileName, byteOffset }: WfdbSignal, files: readonly SourceFile[]): Uint8Array {
  const file = files.find(({ name }) => name === fileName)
  if (file === undefined) throw new CodedError('file-not-found', { line, field: 'file' })
  return file.bytes.subarray(byteOffset)
}

function samplesInFile(lead: EcgSignal, files: readonly SourceFile[]): number {
  return Math.floor(layoutOf(lead).samples(signalBytes(lead.signal, files).length) / lead.sharing.length)
}

const isPlainFileName = (name: string) =>
  /^[^/\\:\0]+$/.test(name) && !/^\.+$/.test(name) && name !== '-' && name !== '~'
