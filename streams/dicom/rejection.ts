/**
 * Why a peer rejects an association: the A-ASSOCIATE-RJ of DICOM PS3.8, section 9.3.4.
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
