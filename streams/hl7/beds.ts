/**
 * Who lies in which bed, from ADT messages. Pure: it says what a message changes; the gateway's store keeps it.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import type { Message } from './message.ts'
import { timeOfText } from './time.ts'
import { bedOf, mergedOf, visitOf } from './visit.ts'

/** A person in a bed from `fromMs` up to, but not at, `toMs`. */
export interface Stay {
  readonly bed: string
  readonly patient: string
  readonly authority?: string | undefined
  readonly fromMs: number
  readonly toMs?: number | undefined
}

/** The stays that a message is about, as the store has them. */
export interface StayReader {
  /** Of a patient, by their beginning. */
  ofPatient(patient: string): readonly Stay[]
  /** Who is in a bed now. */
  inBed(bed: string): Stay | undefined
}

export type StayChange =
  | { readonly kind: 'begin'; readonly stay: Stay }
  | { readonly kind: 'end'; readonly stay: Stay; readonly toMs: number }
  /** It never was, or has not ended after all. */
  | { readonly kind: 'remove' | 'reopen'; readonly stay: Stay }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }

const ADT_EVENTS = ['A01', 'A02', 'A03', 'A04', 'A08', 'A11', 'A12', 'A13', 'A40'] as const
type AdtEvent = (typeof ADT_EVENTS)[number]

/** How far a sender's clock may run ahead of ours. */
const MAX_AHEAD_MS = 5 * 60_000

/**
 * What an ADT message changes. The same message again changes nothing.
 * @throws CodedError `format-unsupported` (an event that we don't take), `field-invalid` (no patient, no bed, no time), `clock-invalid` (in the future, or
 *   before the stay that it would change), `association-overlap` (somebody else lies in that bed)
 */
export function bedChanges(message: Message, stays: StayReader, nowMs: number, zone?: string): readonly StayChange[] {
  const code = message.header.text(9, 2)
  const event = ADT_EVENTS.find((each) => each === code)
  if (event === undefined) throw message.header.error('format-unsupported', 9)
  const { patient, authority, bed } = visitOf(message)
  if (patient === undefined) throw new CodedError('field-invalid', { field: 'PID.3' })
  if (event === 'A40') {
    const from = mergedOf(message)
    if (from === undefined) throw new CodedError('field-invalid', { field: 'MRG.1' })
    return from === patient ? [] : [{ kind: 'rename', from, to: patient }]
  }
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
      // An outpatient has no bed, and an update may leave it out.
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
  // A move into the past would give hours of somebody's ECGs to another person.
  if (atMs < stay.fromMs) throw new CodedError('clock-invalid', { field: 'EVN.6' })
  return { kind: 'end', stay, toMs: atMs }
}

function refuseOccupied(bed: string, { patient }: AdtFacts, stays: StayReader): void {
  const other = stays.inBed(bed)
  if (other !== undefined && other.patient !== patient) throw new CodedError('association-overlap', { field: 'PV1.3' })
}

/** The transfer did not take place: the stay that it began goes, and the one that it ended goes on. */
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

/** When it happened (EVN-6), else when it was recorded, else when it was written. */
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
