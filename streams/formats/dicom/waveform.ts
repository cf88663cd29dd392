/**
 * The multiplex groups of a DICOM waveform object, after PS3.3 C.10.9 (Waveform Module).
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, MISSING_SAMPLE, RATE_RANGE_HZ, type RecordedLead } from '../../../shared/domain/recording.ts'
import { WINDOW_S } from '../../../shared/domain/window.ts'
import { CodedError } from '../../../shared/errors.ts'
import { microvolts } from '../format.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import type { Dataset } from './dataset.ts'

/** Channels that were sampled together. */
export interface MultiplexGroup {
  readonly isOriginal: boolean
  /** Start after the acquisition's, ms. */
  readonly offsetMs: number
  readonly rateHz: number
  readonly samples: number
  readonly channels: readonly LeadChannel[]
  readonly dataset: Dataset
}

/** A channel that is one of the twelve leads. */
interface LeadChannel {
  readonly name: LeadName
  /** Its place among all channels of the group. */
  readonly place: number
  readonly definition: Dataset
}

/**
 * Groups that together are one recording: of those with standard leads the best, and the others of the same samples, rate and start
 * (some devices put limb and precordial leads into groups of their own). Best is what was recorded rather than derived (no median beat),
 * long enough for a window (not the 2.5 s strips of a printed page), with most leads.
 * @throws CodedError `format-unsupported` (no waveform), `lead-unknown`, `rate-unsupported`, `payload-malformed`
 */
export function chooseGroups(dataset: Dataset): MultiplexGroup[] {
  const sequence = dataset.items('waveformSequence')
  if (sequence.length === 0) throw new CodedError('format-unsupported', { field: 'waveformSequence' })
  const groups = sequence.map(readGroup).filter(({ channels }) => channels.length > 0)
  const [best] = groups.toSorted(
    (a, b) =>
      Number(b.isOriginal) - Number(a.isOriginal) ||
      Number(isWindow(b)) - Number(isWindow(a)) ||
      b.channels.length - a.channels.length ||
      b.samples / b.rateHz - a.samples / a.rateHz,
  )
  if (best === undefined) throw new CodedError('lead-unknown', { field: 'channelSource' })
  return groups.filter(
    (group) =>
      group.isOriginal === best.isOriginal &&
      group.offsetMs === best.offsetMs &&
      group.rateHz === best.rateHz &&
      group.samples === best.samples,
  )
}

const isWindow = ({ samples, rateHz }: MultiplexGroup) => samples >= WINDOW_S * rateHz

function readGroup(dataset: Dataset): MultiplexGroup {
  const rateHz = dataset.decimal('samplingFrequency')
  if (rateHz === undefined || !(rateHz > 0))
    throw new CodedError('rate-unsupported', { field: 'samplingFrequency', ...RATE_RANGE_HZ })
  const definitions = dataset.items('channelDefinitions')
  if (definitions.length !== dataset.u16('channels')) throw new CodedError('payload-malformed', { field: 'channels' })
  const channels: LeadChannel[] = []
  for (const [place, definition] of definitions.entries()) {
    const name = leadOf(definition)
    if (name !== undefined) channels.push({ name, place, definition })
  }
  return {
    isOriginal: dataset.text('waveformOriginality') !== 'DERIVED',
    offsetMs: dataset.decimal('groupTimeOffset') ?? 0,
    rateHz,
    samples: dataset.u32('samples'),
    channels,
    dataset,
  }
}

/** PS3.16 CID 3001: `SCPECG 5.6.3-9-61`, since 2007 `MDC 2:61`; else what the channel is called. */
function leadOf(definition: Dataset): LeadName | undefined {
  const [source] = definition.items('channelSource')
  const number = /^(?:5\.6\.3-9-|2:)(\d+)$/.exec(source?.text('codeValue') ?? '')?.[1]
  if (number !== undefined && /^(?:SCPECG|MDC)/.test(source?.text('codingScheme') ?? ''))
    return leadOfScpCode(Number(number))
  const names = [source?.text('codeValue'), source?.text('codeMeaning'), definition.text('channelLabel')]
  for (const name of names) {
    const lead = findLead(withoutRemark(name ?? ''))
    if (lead !== undefined) return lead
  }
  return undefined
}

/** `Lead II (Einthoven)` is `Lead II`. */
function withoutRemark(name: string): string {
  const at = name.indexOf('(')
  return at >= 0 && name.endsWith(')') ? name.slice(0, at).trimEnd() : name
}

interface SampleType {
  readonly bits: number
  readonly read: (view: DataView, index: number) => number
}

/** By sample interpretation (PS3.3 C.10.9.1.5). µ-law and A-law are for sound. */
const SAMPLE_TYPES: ReadonlyMap<string, SampleType> = new Map([
  ['SB', { bits: 8, read: (view, index) => view.getInt8(index) }],
  ['UB', { bits: 8, read: (view, index) => view.getUint8(index) }],
  ['SS', { bits: 16, read: (view, index) => view.getInt16(index * 2, true) }],
  ['US', { bits: 16, read: (view, index) => view.getUint16(index * 2, true) }],
  ['SL', { bits: 32, read: (view, index) => view.getInt32(index * 4, true) }],
] satisfies [string, SampleType][])

/**
 * The leads of a group, in microvolts: sample × sensitivity × correction + baseline.
 * @throws CodedError `format-unsupported` (sample interpretation, skew), `payload-malformed`, `payload-too-large`, `gain-invalid`, `unit-unknown`
 */
export function readLeads(group: MultiplexGroup): RecordedLead[] {
  const { dataset, samples, rateHz, channels } = group
  const type = SAMPLE_TYPES.get(dataset.text('sampleInterpretation') ?? '')
  if (type === undefined || dataset.u16('bitsAllocated') !== type.bits)
    throw new CodedError('format-unsupported', { field: 'sampleInterpretation' })
  checkDuration(samples, rateHz, 'samples')
  const data = dataset.bytes('waveformData') ?? new Uint8Array()
  const channelCount = dataset.items('channelDefinitions').length
  const expectedBytes = (samples * channelCount * type.bits) / 8
  if (data.length < expectedBytes) throw new CodedError('payload-malformed', { field: 'waveformData', expectedBytes })
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const padding = paddingOf(dataset, type)
  return channels.map(({ name, place, definition }) => {
    refuseSkew(definition, rateHz)
    const { gainUv, baselineUv } = calibrationOf(definition)
    const baseline = Math.round(baselineUv / gainUv)
    const output = new Int32Array(samples)
    for (let i = 0, index = place; i < samples; i++, index += channelCount) {
      const value = type.read(view, index)
      output[i] = value === padding ? MISSING_SAMPLE : value + baseline
    }
    return { name, gainUv, samples: output }
  })
}

/** The value of samples that are none, as `type` reads it. */
function paddingOf(dataset: Dataset, type: SampleType): number | undefined {
  const bytes = dataset.bytes('paddingValue')
  if (bytes === undefined || bytes.length * 8 < type.bits) return undefined
  return type.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

function calibrationOf(definition: Dataset): { gainUv: number; baselineUv: number } {
  const [unit] = definition.items('sensitivityUnits')
  const unitUv = microvolts(unit?.text('codeValue') ?? '', 'sensitivityUnits')
  const sensitivity = definition.decimal('sensitivity') ?? Number.NaN
  const gainUv = unitUv * sensitivity * (definition.decimal('sensitivityCorrection') ?? 1)
  if (!(gainUv > 0)) throw new CodedError('gain-invalid', { field: 'sensitivity' })
  const baselineUv = unitUv * (definition.decimal('baseline') ?? 0)
  if (!(Math.abs(baselineUv / gainUv) < 2 ** 30)) throw new CodedError('field-invalid', { field: 'baseline' })
  return { gainUv, baselineUv }
}

/** Less than a sample between channels is the multiplexer's and of no matter; more would have to be shifted. */
function refuseSkew(definition: Dataset, rateHz: number): void {
  const samples = definition.decimal('sampleSkew') ?? (definition.decimal('timeSkew') ?? 0) * rateHz
  if (Math.abs(samples) >= 1) throw new CodedError('format-unsupported', { field: 'skew' })
}
