/**
 * HL7 aECG (annotated ECG, `AnnotatedECG` of HL7 v3), after the "HL7 aECG Implementation Guide" of 2005-03-21 (Brown, Badilini):
 * the rhythm series' sequence sets, each a time sequence beside sequences of digits with origin and scale. Annotations and representative beats
 * are left alone.
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
import { CodedError } from '../../../shared/errors.ts'
import { type Format, microvolts, wholeRate } from '../format.ts'
import { ageAt, plausiblePerson, sexOfText } from '../person.ts'
import { dateOfText, startOfText } from '../time.ts'
import { at, child, childrenOf, decimal, descendant, parseXml, sniffXmlRoot, textAt, type XmlElement } from '../xml.ts'

export const aecg: Format = {
  name: 'aecg',
  detects: (bytes) => sniffXmlRoot(bytes) === 'AnnotatedECG',
  parse: (main) => parse(main.bytes),
}

/**
 * @throws CodedError `payload-malformed` (XML, digits), `payload-empty` (no rhythm), `lead-unknown`, `unit-unknown`, `gain-invalid`,
 *   `sample-invalid`, `field-invalid` (increment), and those of `parseXml` and `checkRecording`
 */
export function parse(bytes: Uint8Array): Recording {
  const root = parseXml(bytes)
  if (root.name !== 'AnnotatedECG') throw new CodedError('payload-malformed', { field: 'AnnotatedECG' })
  const series = rhythmSeries(root)
  const set = richestSet(series)
  const starts = [set.head, startOf(series), startOf(root)].filter((text) => text !== undefined)
  return checkRecording({
    format: 'aecg',
    rateHz: set.rateHz,
    leads: set.leads.map(readLead),
    startedAt: starts.map(startOfText).find((start) => start !== undefined),
    person: readPerson(root, starts[0]),
  })
}

/** The leads of one sequence set were taken at the same time. */
interface SequenceSet {
  readonly rateHz: number
  /** When its first sample was taken, where its time is absolute. */
  readonly head: string | undefined
  readonly leads: readonly Sequence[]
}

interface Sequence {
  readonly name: LeadName
  readonly value: XmlElement
}

function rhythmSeries(root: XmlElement): XmlElement {
  for (const component of childrenOf(root, 'component')) {
    const series = child(component, 'series')
    if (series !== undefined && code(series) === 'RHYTHM') return series
  }
  throw new CodedError('payload-empty', { field: 'series' })
}

/** A series that prints leads in turn has several sets; the one with most standard leads is taken, the first among equals. */
function richestSet(series: XmlElement): SequenceSet {
  const sets = childrenOf(series, 'component').flatMap((component) => childrenOf(component, 'sequenceSet'))
  const [richest] = sets
    .map((set) => ({ set, leads: leadSequences(set) }))
    .sort((a, b) => b.leads.length - a.leads.length)
  if (richest === undefined) throw new CodedError('payload-empty', { field: 'sequenceSet' })
  if (richest.leads.length === 0) throw new CodedError('lead-unknown', { field: 'sequence.code' })
  return { ...readTime(richest.set), leads: richest.leads }
}

const sequences = (set: XmlElement) =>
  childrenOf(set, 'component').flatMap((component) => childrenOf(component, 'sequence'))

function leadSequences(set: XmlElement): Sequence[] {
  return sequences(set).flatMap((sequence) => {
    const name = findLead(code(sequence) ?? '')
    const value = child(sequence, 'value')
    return name === undefined || value === undefined ? [] : [{ name, value }]
  })
}

/** Seconds of a time unit, by UCUM. */
const SECONDS: Readonly<Record<string, number>> = { s: 1, ms: 1e-3, us: 1e-6 }

function readTime(set: XmlElement): Pick<SequenceSet, 'rateHz' | 'head'> {
  const time = sequences(set).find((sequence) => code(sequence)?.startsWith('TIME_'))
  const increment = at(time, 'value', 'increment')
  const unitSeconds = SECONDS[increment?.attributes.get('unit') ?? '']
  const step = decimal(increment?.attributes.get('value'))
  if (unitSeconds === undefined || step === undefined || step <= 0) {
    throw new CodedError('field-invalid', { field: 'increment' })
  }
  const head = at(time, 'value', 'head')?.attributes.get('value')
  return {
    rateHz: wholeRate(1 / (step * unitSeconds)),
    head: code(time) === 'TIME_ABSOLUTE' ? head : undefined,
  }
}

function readLead({ name, value }: Sequence): RecordedLead {
  const [scale, origin] = [quantityUv(child(value, 'scale'), `${name}.scale`), child(value, 'origin')]
  if (!(scale > 0)) throw new CodedError('gain-invalid', { field: `${name}.scale` })
  // Half a step at most is lost where the origin is none of its multiples.
  const offset = origin === undefined ? 0 : Math.round(quantityUv(origin, `${name}.origin`) / scale)
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

function quantityUv(element: XmlElement | undefined, field: string): number {
  const value = decimal(element?.attributes.get('value'))
  if (value === undefined) throw new CodedError('gain-invalid', { field })
  return value * microvolts(element?.attributes.get('unit') ?? '', field)
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

/** `effectiveTime` is a moment (`center`) or a span (`low`, `high`). */
function startOf(element: XmlElement): string | undefined {
  const time = child(element, 'effectiveTime')
  return (child(time, 'low') ?? child(time, 'center') ?? time)?.attributes.get('value')
}

const code = (element: XmlElement | undefined) => child(element, 'code')?.attributes.get('code')
