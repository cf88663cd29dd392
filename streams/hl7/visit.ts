/**
 * Patient and order of a message: only the identifiers that are returned with the result, and no other data of a person.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { type Message, type Segment, withoutTrailing } from './message.ts'

/** PID-3 and PV1-3, as they must be written back. */
export interface Visit {
  /** The identifier, and its assigning authority (PID-3.4). */
  readonly patient: string | undefined
  readonly authority: string | undefined
  /** Point of care ^ room ^ bed ^ facility. */
  readonly bed: string | undefined
}

/** Numbers by which a result is matched to its order. */
export interface OrderNumbers {
  readonly placer?: string
  readonly filler?: string
  /** OBR-4: the service that was ordered. */
  readonly service?: readonly [code: string, text: string, system: string]
}

/**
 * Patient and bed of a message about one patient.
 * @throws CodedError `association-mismatch` when it names two
 */
export function visitOf(message: Message): Visit {
  const [pid, ...others] = message.all('PID')
  const visit = visitIn(pid, message.first('PV1'))
  for (const other of others) {
    if (visitIn(other, undefined).patient !== visit.patient) throw other.error('association-mismatch', 3)
  }
  return visit
}

/** The same from its segments. */
export function visitIn(pid: Segment | undefined, pv1: Segment | undefined): Visit {
  const whole = pid === undefined ? undefined : identifierOf(pid, 3)
  return {
    patient: whole && pid ? blank(pid.part(whole, 1)) : undefined,
    authority: whole && pid ? blank(pid.part(whole, 4)) : undefined,
    bed: bedOf(pv1, 3),
  }
}

/**
 * The medical record number (MR) if there are several identifiers, else the first. HL7 2.3 senders have only the number in PID-3, or only
 * PID-2.
 */
function identifierOf(pid: Segment, field: number): string | undefined {
  const all = pid.repetitions(field)
  return all.find((each) => pid.part(each, 5) === 'MR') ?? all[0] ?? pid.repetitions(2)[0]
}

/** A location as one text. Empty parts at the end are removed, so that `ICU^01^A` is the same bed with and without a facility's blanks. */
export function bedOf(segment: Segment | undefined, field: number): string | undefined {
  const [first] = segment?.repetitions(field) ?? []
  if (segment === undefined || first === undefined) return undefined
  const parts = segment.components(first).slice(0, 3)
  return blank(withoutTrailing(parts.map((part) => part.trim()).join('^'), '^'))
}

/** A patient's identifier that is given up (MRG-1), and the one that stays. */
export interface Merge {
  readonly from: string
  readonly to: string
}

/**
 * The merges of a message: each MRG belongs to the PID before it.
 * @throws CodedError `field-invalid` when one is missing
 */
export function mergesOf(message: Message): readonly Merge[] {
  const merges: Merge[] = []
  let pid: Segment | undefined
  for (const segment of message.segments) {
    if (segment.name === 'PID') pid = segment
    if (segment.name !== 'MRG') continue
    const { patient: to } = visitIn(pid, undefined)
    const whole = identifierOf(segment, 1)
    const from = whole && blank(segment.part(whole, 1))
    if (to === undefined) throw new CodedError('field-invalid', { field: 'PID.3' })
    if (from === undefined) throw new CodedError('field-invalid', { field: 'MRG.1' })
    merges.push({ from, to })
  }
  if (merges.length === 0) throw new CodedError('field-invalid', { field: 'MRG.1' })
  return merges
}

/** An order's numbers, and its control code (ORC-1). */
export interface Order extends OrderNumbers {
  readonly control: string
}

/**
 * The orders of a message: each ORC with the OBR that follows it, or an OBR alone.
 * @throws CodedError `field-invalid` for an order without a number
 */
export function ordersOf(message: Message): readonly Order[] {
  const orders: { orc: Segment | undefined; obr: Segment | undefined }[] = []
  for (const segment of message.segments) {
    const last = orders.at(-1)
    if (segment.name === 'ORC') orders.push({ orc: segment, obr: undefined })
    else if (segment.name === 'OBR' && last !== undefined && last.obr === undefined) last.obr = segment
    else if (segment.name === 'OBR') orders.push({ orc: undefined, obr: segment })
  }
  if (orders.length === 0) throw new CodedError('field-invalid', { field: 'ORC.2' })
  return orders.map(({ orc, obr }) => {
    const order = orderIn(orc, obr)
    if (order.placer === undefined && order.filler === undefined)
      throw orc === undefined ? obr!.error('field-invalid', 2) : orc.error('field-invalid', 2)
    return { ...order, control: orc?.text(1) ?? '' }
  })
}

export function orderIn(orc: Segment | undefined, obr: Segment | undefined): OrderNumbers {
  const placer = obr?.text(2) || orc?.text(2) || ''
  const filler = obr?.text(3) || orc?.text(3) || ''
  const code = obr?.text(4) ?? ''
  return {
    ...(placer === '' ? {} : { placer }),
    ...(filler === '' ? {} : { filler }),
    ...(code === '' || obr === undefined ? {} : { service: [code, obr.text(4, 2), obr.text(4, 3)] as const }),
  }
}

const blank = (text: string): string | undefined => (text === '' ? undefined : text)
