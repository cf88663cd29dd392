/**
 * Conflicts with others who change the same resources.
 * @module
 */
import { CodedError, toCodedError } from '../../../shared/errors.ts'

/** Conflict, precondition failed: somebody changed a resource between our read and our write. */
const CONFLICTS = [409, 412]

/** The error of a transaction. A conflict is one that a retry may fix, because it reads again. */
export function retriable(thrown: unknown): CodedError {
  const error = toCodedError(thrown)
  if (!CONFLICTS.includes(Number(error.detail.status))) return error
  return new CodedError('ehr-unavailable', { field: 'version' }, { cause: error })
}
