/**
 * Patient and order of a message: only the identifiers that are returned with the result, and no other data of a person.
 * @module
 */
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

export function visitOf(message: Message): Visit {
  const pid = message.first('PID')
  const whole = pid === undefined ? undefined : identifierOf(pid, 3)
  return {
    patient: whole && pid ? blank(pid.part(whole, 1)) : undefined,
    authority: whole && pid ? blank(pid.part(whole, 4)) : undefined,
    bed: bedOf(message.first('PV1'), 3),
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

/** MRG-1: the identifier that is given up. */
export function mergedOf(message: Message): string | undefined {
  const mrg = message.first('MRG')
  const whole = mrg && identifierOf(mrg, 1)
  return whole && mrg ? blank(mrg.part(whole, 1)) : undefined
}

export function orderOf(message: Message, obr = message.first('OBR')): OrderNumbers {
  const orc = message.first('ORC')
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
