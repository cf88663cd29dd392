import { CodedError } from '../../shared/errors.ts'

/** The coded error that a call ends in; fails the test when it ends otherwise. */
export function codedError(call: () => unknown): CodedError {
  try {
    call()
  } catch (error) {
    if (error instanceof CodedError) return error
    throw error
  }
  throw new Error('the call ended without an error')
}
