/**
 * Why a peer that answers takes nothing: it rejects the association or every presentation context, or aborts (DICOM PS3.8, section 9.3).
 * @module
 */
import { CodedError } from '../../shared/errors.ts'

/** The numbers of the answer. */
export interface Rejection {
  readonly result: number
  readonly source: number
  readonly reason: number
}

/** Result `rejected-transient`. */
const TRANSIENT = 2

/** By source and reason: PS3.8, table 9-21. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['1.1', 'it gives no reason'],
  ['1.2', 'it does not support the DICOM application context'],
  ['1.3', 'it does not know our AE title (calling)'],
  ['1.7', 'it has another AE title (called)'],
  ['2.1', 'it gives no reason'],
  ['2.2', 'it does not support our version of the protocol'],
  ['3.1', 'it is busy'],
  ['3.2', 'it has too many associations'],
])

/**
 * The error of a rejection.
 * @returns `unavailable` when the peer says that it may pass, else `association-rejected`
 */
export function rejected({ result, source, reason }: Rejection, address: string): CodedError {
  const why = REASONS.get(`${source}.${reason}`) ?? `source ${source}, reason ${reason}`
  const code = result === TRANSIENT ? 'unavailable' : 'association-rejected'
  return new CodedError(code, { field: 'dicom', address, why })
}

/** The numbers of an A-ABORT. */
export type Abort = Pick<Rejection, 'source' | 'reason'>

/** Source `service-provider`: the peer's network layer. Only its reason has a meaning. */
const PROVIDER = 2

/** PS3.8, table 9-26. */
const ABORT_REASONS: readonly (string | undefined)[] = [
  'its network layer gives no reason',
  'it does not know a PDU that it got',
  'it got a PDU that it did not expect',
  undefined,
  'it does not know a parameter of a PDU',
  'it got a parameter of a PDU that it did not expect',
  'it found an invalid value in a PDU',
]

/** The error of an A-ABORT: often a restart or an overload of the peer, so that a retry may help. */
export function aborted({ source, reason }: Abort, address: string): CodedError {
  const byProvider = ABORT_REASONS[reason] ?? `source ${source}, reason ${reason}`
  const why = source === PROVIDER ? byProvider : 'the program itself ended it, without a reason'
  return new CodedError('association-aborted', { field: 'dicom', address, why })
}

/** By the result of a presentation context: PS3.8, table 9-18. */
const CONTEXT_RESULTS: readonly (string | undefined)[] = [
  undefined,
  'it does not want objects of this kind',
  'it gives no reason',
  'it does not accept objects of this kind (SOP class)',
  'it accepts objects of this kind, but none of our transfer syntaxes',
]

/**
 * The error of an association in which the peer accepts no object of ours.
 * @param result of the last presentation context
 */
export function notAccepted(result: number, address: string): CodedError {
  const why = CONTEXT_RESULTS[result] ?? `result ${result}`
  return new CodedError('delivery-refused', { field: 'dicom', address, why })
}
