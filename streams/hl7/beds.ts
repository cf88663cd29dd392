/**
 * Which patient is in which bed, from ADT messages. Pure: it returns the changes, and the gateway's store applies them.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import type { Message } from './message.ts'
import { timeOfText } from './time.ts'
import { bedOf, mergesOf, visitOf } from './visit.ts'

/** A patient in a bed from `fromMs` (inclusive) to `toMs` (exclusive). */
export interface Stay {
  readonly bed: string
  readonly patient: string
  readonly authority?: string | undefined
  readonly fromMs: number
  readonly toMs?: number | undefined
}

/** The stored stays that a message may affect. */
export interface StayReader {
  /** Stays of a patient, by start time. */
  ofPatient(patient: string): readonly Stay[]
  /** The current stay in a bed. */
  inBed(bed: string): Stay | undefined
}

export type StayChange =
  | { readonly kind: 'begin'; readonly stay: Stay }
  | { readonly kind: 'end'; readonly stay: Stay; readonly toMs: number }
  /** The stay did not take place, or has not ended after all. */
  | { readonly kind: 'remove' | 'reopen'; readonly stay: Stay }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }

const ADT_EVENTS = ['A01', 'A02', 'A03', 'A04', 'A08', 'A11', 'A12', 'A13', 'A40'] as const
type AdtEvent = (typeof ADT_EVENTS)[number]

/** Most that a sender's clock may be ahead of ours. */
const MAX_AHEAD_MS = 5 * 60_000

/**
 * The changes of an ADT message. The same message again changes nothing.
 * @throws CodedError `format-unsupported` (an event that is not supported), `field-invalid` (no patient, no bed, no time), `clock-invalid`
 * (in the future, or before the stay that it would change), `association-overlap` (another patient is in that bed), `association-mismatch`
 * (two patients)
 */
export function bedChanges(message: Message, stays: StayReader, nowMs: number, zone?: string): readonly StayChange[] {
  const code = message.header.text(9, 2)
  const event = ADT_EVENTS.find((each) => each === code)
  if (event === undefined) throw message.header.error('format-unsupported', 9)
  if (event === 'A40') {
    const renames = mergesOf(message).map((merge) => ({ kind: 'rename', ...merge }) as const)
    return renames.filter(({ from, to }) => from !== to)
  }
  const { patient, authority, bed } = visitOf(message)
  if (patient === undefined) throw new CodedError('field-invalid', { field: 'PID.3' })
  return changesOf(event, { patient, authority, bed, atMs: timeOf(message, nowMs, zone), message }, stays)
}

interface AdtFacts {
  readonly patient: string
  readonly authority: string | undefined
  readonly bed: string | undefined
  readonly atMs: number
  readonly message: Message
}

function changesOf(event: Exclude<AdtEvent, 'A40'>, facts: AdtFacts, stays: StayReader): readonly StayChange[] {
  const history = stays.ofPatient(facts.patient)
  const current = history.findLast(({ toMs }) => toMs === undefined)
  switch (event) {
    case 'A01':
    case 'A04':
    case 'A08':
    case 'A02':
      // An outpatient has no bed, and an update may omit it.
      if (facts.bed === undefined && event !== 'A02') return []
      return moveTo(facts, current, stays)
    case 'A03':
      return current === undefined ? [] : [end(current, facts)]
    case 'A11':
      return current === undefined ? [] : [{ kind: 'remove', stay: current }]
    case 'A12':
      return cancelMove(facts, history, current)
    case 'A13': {
      const last = history.at(-1)
      if (current !== undefined || last === undefined) return []
      refuseOccupied(last.bed, facts, stays)
      return [{ kind: 'reopen', stay: last }]
    }
  }
}

function moveTo(facts: AdtFacts, current: Stay | undefined, stays: StayReader): readonly StayChange[] {
  const { bed, patient, authority, atMs } = facts
  if (bed === undefined) throw new CodedError('field-invalid', { field: 'PV1.3' })
  if (current?.bed === bed) return []
  refuseOccupied(bed, facts, stays)
  const begin = { kind: 'begin', stay: { bed, patient, authority, fromMs: atMs } } as const
  return current === undefined ? [begin] : [end(current, facts), begin]
}

function end(stay: Stay, { atMs }: AdtFacts): StayChange {
  // A move in the past would assign hours of one patient's ECGs to another.
  if (atMs < stay.fromMs) throw new CodedError('clock-invalid', { field: 'EVN.6' })
  return { kind: 'end', stay, toMs: atMs }
}

function refuseOccupied(bed: string, { patient }: AdtFacts, stays: StayReader): void {
  const other = stays.inBed(bed)
  if (other !== undefined && other.patient !== patient) throw new CodedError('association-overlap', { field: 'PV1.3' })
}

/** The transfer did not take place: the stay that it started is removed, and the one that it ended continues. */
function cancelMove(facts: AdtFacts, history: readonly Stay[], current: Stay | undefined): readonly StayChange[] {
  if (current === undefined) return []
  const before = history.findLast((stay) => stay !== current && stay.toMs === current.fromMs)
  const prior = bedOf(facts.message.first('PV1'), 3)
  if (before === undefined || (prior !== undefined && prior !== before.bed)) return []
  return [
    { kind: 'remove', stay: current },
    { kind: 'reopen', stay: before },
  ]
}

/** Time of the event (EVN-6), else of its recording, else of the message. */
function timeOf(message: Message, nowMs: number, zone: string | undefined): number {
  const evn = message.first('EVN')
  const time = [evn?.text(6), evn?.text(2), message.header.text(7)]
    .map((text) => timeOfText(text, zone))
    .find((each) => each !== undefined)
  if (time === undefined) throw new CodedError('field-invalid', { field: 'EVN.2' })
  const atMs = Date.parse(time)
  if (atMs > nowMs + MAX_AHEAD_MS) throw new CodedError('clock-invalid', { field: 'EVN.2' })
  return atMs
}
