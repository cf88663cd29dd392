/**
 * Philips XML (`restingecgdata`; SierraECG 1.03, PhilipsECG 1.04 to 1.04.02) of PageWriter, HeartStart and TraceMaster. The rhythm of all
 * leads is in one element, compressed with XLI or plain. Recordings of 11 s are common; their last second is a calibration pulse.
 * @module
 */
import { findLead, LEADS, LIMB_LEADS } from '../../../shared/domain/leads.ts'
import {
  checkDuration,
  checkRecording,
  type Person,
  RATE_RANGE_HZ,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, said, warnUnused } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { ageAt, inchesToCm, plausiblePerson, poundsToKg, sexOfText } from '../person.ts'
import { dateOfText, startOfText } from '../time.ts'
import {
  at,
  base64Bytes,
  decimal,
  descendant,
  numberAt,
  parseXml,
  sniffXmlRoot,
  textAt,
  type XmlElement,
} from '../xml.ts'
import { decodeXli, restoreLimbLeads } from './xli.ts'

export const sierra: Format = {
  name: 'sierra',
  detects: (bytes) => sniffXmlRoot(bytes) === 'restingecgdata',
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * @throws CodedError `format-unsupported` (version, compression, encoding, sample type), `payload-empty`, `payload-malformed`,
 * `field-invalid`, `gain-invalid`, `lead-unknown`, and those of `parseXml` and `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit'], warnings)
  const root = parseXml(bytes)
  if (root.name !== 'restingecgdata') throw new CodedError('payload-malformed', { field: 'restingecgdata' })
  if (!/^1\.0[34](?:\.\d+)?$/.test(textAt(root, 'documentinfo', 'documentversion') ?? '')) {
    throw new CodedError('format-unsupported', { field: 'documentversion' })
  }
  const waveforms = descendant(root, 'parsedwaveforms')
  if (waveforms === undefined) throw new CodedError('payload-empty', { field: 'parsedwaveforms' })
  const signal = readSignal(root, waveforms, options)
  return checkRecording({
    format: 'sierra',
    rateHz: signal.rateHz,
    leads: readLeads(waveforms, signal, options, warnings),
    startedAt: startOfText(`${acquired(root, 'date')}T${acquired(root, 'time')}`),
    person: readPerson(root),
    ...said(warnings),
  })
}

interface Signal {
  readonly rateHz: number
  readonly gainUv: number
  /** Samples per lead. */
  readonly count: number
  /** Labels of the stored leads, in order. */
  readonly labels: readonly string[]
}

/** Version 1.04 states these beside the samples, 1.03 elsewhere. */
function readSignal(root: XmlElement, waveforms: XmlElement, options: ReadOptions): Signal {
  const characteristics = at(root, 'dataacquisition', 'signalcharacteristics')
  const stated = (attribute: string, ...elements: readonly string[]) =>
    waveforms.attributes.get(attribute) ??
    elements.map((name) => textAt(characteristics, name)).find((text) => text !== undefined)

  const isSigned = (stated('signalsigned', 'signalsigned') ?? 'true').toLowerCase() === 'true'
  const bits = decimal(stated('bitspersample', 'bitspersample')) ?? 16
  const offset = decimal(stated('signaloffset', 'signaloffset')) ?? 0
  if (!isSigned || bits !== 16 || offset !== 0) {
    throw new CodedError('format-unsupported', { field: 'signalcharacteristics' })
  }
  const ownRate = decimal(stated('samplespersecond', 'samplingrate'))
  const rateHz = options.rateHz ?? ownRate
  if (rateHz === undefined) throw new CodedError('field-invalid', { field: 'samplingrate' })
  if (!(rateHz >= RATE_RANGE_HZ.min && rateHz <= RATE_RANGE_HZ.max)) {
    throw new CodedError('rate-unsupported', { field: 'samplingrate', ...RATE_RANGE_HZ })
  }
  const gainUv = decimal(stated('resolution', 'resolution', 'signalresolution'))
  if (gainUv === undefined) throw new CodedError('gain-invalid', { field: 'resolution' })
  const durationMs = decimal(waveforms.attributes.get('durationperchannel'))
  if (durationMs === undefined || !(durationMs > 0)) {
    throw new CodedError('field-invalid', { field: 'durationperchannel' })
  }
  // The duration is based on the rate that the device states.
  const count = Math.floor((durationMs * (ownRate ?? rateHz)) / 1000)
  checkDuration(count, rateHz, 'durationperchannel')
  const labels = waveforms.attributes.get('leadlabels')?.trim().split(/\s+/) ?? labelsOf(characteristics)
  return { rateHz, gainUv, count, labels }
}

/** Electrode sets whose channels are the twelve standard leads in standard order. */
const STANDARD_SETS = ['STD-12', '10-WIRE']

function labelsOf(characteristics: XmlElement | undefined): readonly string[] {
  if (!STANDARD_SETS.includes(textAt(characteristics, 'acquisitiontype') ?? '')) {
    throw new CodedError('lead-unknown', { field: 'acquisitiontype' })
  }
  return LEADS.slice(0, numberAt(characteristics, 'numberchannelsallocated') ?? LEADS.length)
}

/** More channels than any recorder has. */
const MAX_CHANNELS = 32

function readLeads(
  waveforms: XmlElement,
  signal: Signal,
  options: ReadOptions,
  warnings: ResultWarning[],
): RecordedLead[] {
  const { labels, count, gainUv } = signal
  if (labels.length > MAX_CHANNELS) throw new CodedError('payload-too-large', { field: 'leadlabels' })
  const channels = readChannels(waveforms, labels, count)
  const facts = labels.map((label, index) => ({ label, lead: findLead(label), index }))
  return leadsAmong(facts, (each) => each, options, 'leadlabels', warnings).map(({ name, channel }) => ({
    name,
    gainUv,
    samples: channels[channel.index]!,
  }))
}

function readChannels({ attributes, text }: XmlElement, labels: readonly string[], count: number): Int32Array[] {
  const isPlain = attributes.get('compressflag')?.toLowerCase() === 'false'
  const method = isPlain ? undefined : (attributes.get('compression') ?? attributes.get('compressmethod'))
  const encoding = attributes.get('dataencoding')?.toLowerCase()
  if (method?.toLowerCase() === 'xli') {
    if (encoding !== 'base64') throw new CodedError('format-unsupported', { field: 'dataencoding' })
    // Only for this order is it known which leads contain differences.
    if (LIMB_LEADS.some((name, index) => findLead(labels[index] ?? '') !== name)) {
      throw new CodedError('format-unsupported', { field: 'leadlabels' })
    }
    const channels = decodeXli(base64Bytes(text, 'parsedwaveforms'), labels.length, count)
    restoreLimbLeads(channels)
    return channels
  }
  if (method !== undefined && method.toLowerCase() !== 'uncompressed') {
    throw new CodedError('format-unsupported', { field: 'compression' })
  }
  return splitChannels(readPlain(text, encoding), labels.length, count)
}

function readPlain(text: string, encoding: string | undefined): Int16Array {
  if (encoding === 'base64') {
    const bytes = base64Bytes(text, 'parsedwaveforms')
    // A copy is aligned; all of Node's platforms are little-endian, like the file.
    return new Int16Array(Uint8Array.from(bytes.subarray(0, bytes.length & ~1)).buffer)
  }
  if (encoding !== 'plain') throw new CodedError('format-unsupported', { field: 'dataencoding' })
  const numbers = text.trim().split(/[\s,]+/)
  const wrong = numbers.findIndex((number) => !/^-?\d{1,5}$/.test(number))
  if (wrong >= 0) throw new CodedError('sample-invalid', { field: `parsedwaveforms[${wrong}]` })
  return Int16Array.from(numbers, Number)
}

/** Plain samples are stored lead after lead without differences, which only XLI uses. */
function splitChannels(samples: Int16Array, leads: number, count: number): Int32Array[] {
  if (samples.length < leads * count) {
    throw new CodedError('payload-malformed', { field: 'parsedwaveforms', expectedSamples: leads * count })
  }
  return Array.from({ length: leads }, (_, lead) => new Int32Array(samples.subarray(lead * count, (lead + 1) * count)))
}

const acquired = (root: XmlElement, attribute: string) => at(root, 'dataacquisition')?.attributes.get(attribute) ?? ''

function readPerson(root: XmlElement): Person | undefined {
  const person = at(root, 'patient', 'generalpatientdata')
  // `defaultage` is the device's assumption for an unknown age.
  const birth = dateOfText(textAt(person, 'age', 'dateofbirth'))
  return plausiblePerson({
    sex: sexOfText(textAt(person, 'sex')),
    ageYears: numberAt(person, 'age', 'years') ?? ageAt(birth, dateOfText(acquired(root, 'date'))),
    heightCm: numberAt(person, 'height', 'cm') ?? inchesToCm(numberAt(person, 'height', 'inch')),
    weightKg: numberAt(person, 'weight', 'kg') ?? poundsToKg(numberAt(person, 'weight', 'lb')),
  })
}
