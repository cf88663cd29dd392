/**
 * HL7 aECG (annotated ECG, `AnnotatedECG` of HL7 v3), after the "HL7 aECG Implementation Guide" of 2005-03-21 (Brown, Badilini). Reads the
 * sequence sets of the rhythm series: a time sequence, and sequences of digits with origin and scale. Annotations and representative beats
 * are ignored.
 * @module
 */
import { findLead, type LeadName } from '../../../shared/domain/leads.ts'
import {
  checkRecording,
  MISSING_SAMPLE,
  type Person,
  type RecordedLead,
  type Recording,
} from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import { type Format, type ReadOptions, wholeRate } from '../format.ts'
import { ageAt, plausiblePerson, sexOfText } from '../person.ts'
import { dateOfText, startOfText } from '../time.ts'
import { microvolts } from '../units.ts'
import { at, child, childrenOf, decimal, descendant, parseXml, sniffXmlRoot, textAt, type XmlElement } from '../xml.ts'

export const aecg: Format = {
  name: 'aecg',
  detects: (bytes) => sniffXmlRoot(bytes) === 'AnnotatedECG',
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * @throws CodedError `payload-malformed` (XML, digits), `payload-empty` (no rhythm), `lead-unknown`, `unit-unknown`, `gain-invalid`,
 * `sample-invalid`, `field-invalid` (increment), and those of `parseXml` and `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  const root = parseXml(bytes)
  if (root.name !== 'AnnotatedECG') throw new CodedError('payload-malformed', { field: 'AnnotatedECG' })
  const series = rhythmSeries(root)
  const set = richestSet(series, options)
  const leads = leadsAmong(set.sequences, (sequence) => sequence, options, 'sequence.code', warnings)
  const starts = [set.head, startOf(series), startOf(root)].filter((text) => text !== undefined)
  return checkRecording({
    format: 'aecg',
    rateHz: set.rateHz,
    leads: readableLeads(leads, ({ name, channel }) => readLead(name, channel.value, options), warnings),
    startedAt: starts.map(startOfText).find((start) => start !== undefined),
    person: readPerson(root, starts[0]),
    ...said(warnings),
  })
}

/** The leads of one sequence set were recorded at the same time. */
interface SequenceSet {
  readonly rateHz: number
  /** Time of its first sample, if its time is absolute. */
  readonly head: string | undefined
  readonly sequences: readonly Sequence[]
}

interface Sequence {
  readonly label: string
  readonly lead: LeadName | undefined
  readonly value: XmlElement
}

function rhythmSeries(root: XmlElement): XmlElement {
  for (const component of childrenOf(root, 'component')) {
    const series = child(component, 'series')
    if (series !== undefined && code(series) === 'RHYTHM') return series
  }
  throw new CodedError('payload-empty', { field: 'series' })
}

/** A series that prints leads in turn has several sets. Takes the one with most standard leads, and the first of equals. */
function richestSet(series: XmlElement, options: ReadOptions): SequenceSet {
  const sets = childrenOf(series, 'component').flatMap((component) => childrenOf(component, 'sequenceSet'))
  const named = (all: readonly Sequence[]) => all.filter(({ lead }) => lead !== undefined).length
  const [richest] = sets
    .map((set) => ({ set, sequences: voltageSequences(set) }))
    .sort((a, b) => named(b.sequences) - named(a.sequences))
  if (richest === undefined) throw new CodedError('payload-empty', { field: 'sequenceSet' })
  return { ...readTime(richest.set, options), sequences: richest.sequences }
}

const sequences = (set: XmlElement) =>
  childrenOf(set, 'component').flatMap((component) => childrenOf(component, 'sequence'))

function voltageSequences(set: XmlElement): Sequence[] {
  return sequences(set).flatMap((sequence) => {
    const label = code(sequence) ?? ''
    const value = child(sequence, 'value')
    return value === undefined || label.startsWith('TIME_') ? [] : [{ label, lead: findLead(label), value }]
  })
}

/** Seconds per time unit, by UCUM code. */
const SECONDS: Readonly<Record<string, number>> = { s: 1, ms: 1e-3, us: 1e-6 }

function readTime(set: XmlElement, { rateHz }: ReadOptions): Pick<SequenceSet, 'rateHz' | 'head'> {
  const time = sequences(set).find((sequence) => code(sequence)?.startsWith('TIME_'))
  const increment = at(time, 'value', 'increment')
  const unitSeconds = SECONDS[increment?.attributes.get('unit') ?? '']
  const step = decimal(increment?.attributes.get('value'))
  const stated = unitSeconds === undefined || step === undefined || step <= 0 ? undefined : 1 / (step * unitSeconds)
  if (rateHz === undefined && stated === undefined) throw new CodedError('field-invalid', { field: 'increment' })
  const head = at(time, 'value', 'head')?.attributes.get('value')
  return {
    rateHz: rateHz ?? wholeRate(stated!),
    head: code(time) === 'TIME_ABSOLUTE' ? head : undefined,
  }
}

function readLead(name: LeadName, value: XmlElement, { unit }: ReadOptions): RecordedLead {
  const [scale, origin] = [quantityUv(child(value, 'scale'), `${name}.scale`, unit), child(value, 'origin')]
  if (!(scale > 0)) throw new CodedError('gain-invalid', { field: `${name}.scale` })
  // The error is at most half a step, when the origin is not a multiple of the step.
  const offset = origin === undefined ? 0 : Math.round(quantityUv(origin, `${name}.origin`, unit) / scale)
  const digits = textAt(value, 'digits')?.split(/\s+/) ?? []
  const samples = new Int32Array(digits.length)
  for (const [index, digit] of digits.entries()) {
    const sample = Number(digit) + offset
    if (!INTEGER.test(digit) || Math.abs(sample) >= -MISSING_SAMPLE) {
      throw new CodedError('sample-invalid', { field: `${name}.digits[${index}]` })
    }
    samples[index] = sample
  }
  return { name, gainUv: scale, samples }
}

const INTEGER = /^[+-]?\d{1,10}$/

function quantityUv(element: XmlElement | undefined, field: string, unit: string | undefined): number {
  const value = decimal(element?.attributes.get('value'))
  if (value === undefined) throw new CodedError('gain-invalid', { field })
  return value * microvolts(unit ?? element?.attributes.get('unit') ?? '', field)
}

function readPerson(root: XmlElement, start: string | undefined): Person | undefined {
  const person = descendant(root, 'subjectDemographicPerson')
  if (person === undefined) return undefined
  const birth = dateOfText(child(person, 'birthTime')?.attributes.get('value'))
  return plausiblePerson({
    sex: sexOfText(child(person, 'administrativeGenderCode')?.attributes.get('code')),
    ageYears: ageAt(birth, dateOfText(start)),
  })
}

/** `effectiveTime` is a point in time (`center`) or a period (`low`, `high`). */
function startOf(element: XmlElement): string | undefined {
  const time = child(element, 'effectiveTime')
  return (child(time, 'low') ?? child(time, 'center') ?? time)?.attributes.get('value')
}

const code = (element: XmlElement | undefined) => child(element, 'code')?.attributes.get('code')
