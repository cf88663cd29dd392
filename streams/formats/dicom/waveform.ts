/**
 * The multiplex groups of a DICOM waveform object, after PS3.3 C.10.9 (Waveform Module).
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, RATE_RANGE_HZ, type RecordedLead } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { WINDOW_S } from '../../../shared/domain/window.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ChannelFacts } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { leadOfScpCode } from '../lead-codes.ts'
import { withoutSentinel } from '../sentinel.ts'
import { microvolts } from '../units.ts'
import type { Dataset } from './dataset.ts'

/** Channels that were sampled together. */
export interface MultiplexGroup {
  readonly isOriginal: boolean
  /** Offset from the start of the acquisition, ms. */
  readonly offsetMs: number
  readonly rateHz: number
  readonly samples: number
  readonly channels: readonly GroupChannel[]
  readonly dataset: Dataset
}

export interface GroupChannel extends ChannelFacts {
  /** Index among all channels of the group. */
  readonly place: number
  readonly definition: Dataset
}

/**
 * Chooses the groups that form one recording: the best one with standard leads, and the others with the same samples, rate and start (some
 * devices store limb and precordial leads in separate groups). The best group is original and not derived (no median beat), long enough for
 * a window (not the 2.5 s strips of a printed page), and has most leads. A group that cannot be read is skipped.
 * @throws CodedError `format-unsupported` (no waveform), `lead-unknown`, `rate-unsupported`, `payload-malformed`
 */
export function chooseGroups(dataset: Dataset, options: ReadOptions): MultiplexGroup[] {
  const sequence = dataset.items('waveformSequence')
  if (sequence.length === 0) throw new CodedError('format-unsupported', { field: 'waveformSequence' })
  const all = readGroups(sequence, options)
  const named = all.filter((group) => leadsIn(group) > 0)
  // The caller may know the lead of an unnamed channel.
  const groups = named.length === 0 && options.lead !== undefined ? all : named
  const [best] = groups.toSorted(
    (a, b) =>
      Number(b.isOriginal) - Number(a.isOriginal) ||
      Number(isWindow(b)) - Number(isWindow(a)) ||
      leadsIn(b) - leadsIn(a) ||
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

function readGroups(sequence: readonly Dataset[], options: ReadOptions): MultiplexGroup[] {
  const errors: unknown[] = []
  const groups = sequence.flatMap((dataset) => {
    try {
      return [readGroup(dataset, options)]
    } catch (error) {
      errors.push(error)
      return []
    }
  })
  if (groups.length === 0) throw errors[0]
  return groups
}

const leadsIn = ({ channels }: MultiplexGroup) => channels.filter(({ lead }) => lead !== undefined).length

const isWindow = ({ samples, rateHz }: MultiplexGroup) => samples >= WINDOW_S * rateHz

function readGroup(dataset: Dataset, options: ReadOptions): MultiplexGroup {
  const rateHz = options.rateHz ?? dataset.decimal('samplingFrequency')
  if (rateHz === undefined || !(rateHz > 0))
    throw new CodedError('rate-unsupported', { field: 'samplingFrequency', ...RATE_RANGE_HZ })
  const definitions = dataset.items('channelDefinitions')
  if (definitions.length !== dataset.u16('channels')) throw new CodedError('payload-malformed', { field: 'channels' })
  return {
    isOriginal: dataset.text('waveformOriginality') !== 'DERIVED',
    offsetMs: dataset.decimal('groupTimeOffset') ?? 0,
    rateHz,
    samples: dataset.u32('samples'),
    channels: definitions.map((definition, place) => ({ ...factsOf(definition), place, definition })),
    dataset,
  }
}

/** PS3.16 CID 3001: `SCPECG 5.6.3-9-61`, since 2007 `MDC 2:61`; otherwise the channel's name. */
function factsOf(definition: Dataset): ChannelFacts {
  const [source] = definition.items('channelSource')
  const names = [definition.text('channelLabel'), source?.text('codeMeaning'), source?.text('codeValue')]
  const label = names.find((name) => name !== undefined) ?? ''
  const unit = definition.items('sensitivityUnits')[0]?.text('codeValue')
  const number = /^(?:5\.6\.3-9-|2:)(\d+)$/.exec(source?.text('codeValue') ?? '')?.[1]
  if (number !== undefined && /^(?:SCPECG|MDC)/.test(source?.text('codingScheme') ?? ''))
    return { lead: leadOfScpCode(Number(number)), label, unit }
  const [lead] = names.toReversed().flatMap((name) => findLead(name ?? '') ?? [])
  return { lead, label, unit }
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
 * Makes a function that reads a channel of a group in microvolts: sample × sensitivity × correction + baseline. In truncated data it reads
 * the samples that are present in all channels.
 * @throws CodedError `format-unsupported` (sample interpretation), `payload-malformed`, `payload-too-large`; the reader also
 * `format-unsupported` (skew), `gain-invalid`, `unit-unknown`
 */
export function groupReader(
  { dataset, samples: stated, rateHz, channels }: MultiplexGroup,
  { unit }: ReadOptions,
  warnings: ResultWarning[],
): (name: LeadName, channel: GroupChannel) => RecordedLead {
  const type = SAMPLE_TYPES.get(dataset.text('sampleInterpretation') ?? '')
  if (type === undefined || dataset.u16('bitsAllocated') !== type.bits)
    throw new CodedError('format-unsupported', { field: 'sampleInterpretation' })
  checkDuration(stated, rateHz, 'samples')
  const data = dataset.bytes('waveformData') ?? new Uint8Array()
  const frameBytes = (channels.length * type.bits) / 8
  const samples = Math.min(stated, Math.floor(data.length / frameBytes))
  if (stated === 0) throw new CodedError('payload-empty', { field: 'samples' })
  if (samples === 0)
    throw new CodedError('payload-malformed', { field: 'waveformData', expectedBytes: stated * frameBytes })
  if (samples < stated) warnings.push({ code: 'samples-left-out', field: `sample ${samples}` })
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const padding = paddingOf(dataset, type)
  return (name, { place, definition }) => {
    refuseSkew(definition, rateHz)
    const { gainUv, baselineUv } = calibrationOf(definition, unit)
    const baseline = Math.round(baselineUv / gainUv)
    const values = new Int32Array(samples)
    for (let i = 0, index = place; i < samples; i++, index += channels.length) values[i] = type.read(view, index)
    return { name, gainUv, samples: withoutSentinel(values, padding, baseline) }
  }
}

/** The value of padding samples, as `type` reads it. */
function paddingOf(dataset: Dataset, type: SampleType): number | undefined {
  const bytes = dataset.bytes('paddingValue')
  if (bytes === undefined || bytes.length * 8 < type.bits) return undefined
  return type.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
}

function calibrationOf(definition: Dataset, stated: string | undefined): { gainUv: number; baselineUv: number } {
  const [unit] = definition.items('sensitivityUnits')
  const unitUv = microvolts(stated ?? unit?.text('codeValue') ?? unit?.text('codeMeaning') ?? '', 'sensitivityUnits')
  const sensitivity = definition.decimal('sensitivity') ?? Number.NaN
  const gainUv = unitUv * sensitivity * (definition.decimal('sensitivityCorrection') ?? 1)
  if (!(gainUv > 0)) throw new CodedError('gain-invalid', { field: 'sensitivity' })
  const baselineUv = unitUv * (definition.decimal('baseline') ?? 0)
  if (!(Math.abs(baselineUv / gainUv) < 2 ** 30)) throw new CodedError('field-invalid', { field: 'baseline' })
  return { gainUv, baselineUv }
}

/** Less than a sample between channels comes from the multiplexer and is ignored; more would have to be shifted. */
function refuseSkew(definition: Dataset, rateHz: number): void {
  const samples = definition.decimal('sampleSkew') ?? (definition.decimal('timeSkew') ?? 0) * rateHz
  if (Math.abs(samples) >= 1) throw new CodedError('format-unsupported', { field: 'skew' })
}
