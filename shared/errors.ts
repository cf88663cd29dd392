/**
 * Coded errors: one table decides what a code means at every edge (HTTP status, CLI exit code, DLQ or retry).
 * Messages name the field at fault and never carry a patient's value.
 * @module
 */

/** What an error means at each edge. `permanent`: a retry cannot help, so a queue handler sends the message to its DLQ. */
interface ErrorKind {
  readonly status: number
  readonly exitCode: 1 | 2 | 3 | 4
  readonly permanent: boolean
}

const badInput: ErrorKind = { status: 400, exitCode: 2, permanent: true }
/** The ECG can be read, but no cine may be drawn from it. */
const refused: ErrorKind = { status: 422, exitCode: 3, permanent: true }
const internal: ErrorKind = { status: 500, exitCode: 1, permanent: false }
const misconfigured: ErrorKind = { status: 500, exitCode: 2, permanent: true }

/** All error codes of this product. */
export const ERROR_KINDS = {
  // The input cannot be read.
  'payload-empty': badInput,
  'payload-too-large': { ...badInput, status: 413 },
  'payload-malformed': badInput,
  'format-unknown': { ...badInput, status: 415 },
  'format-unsupported': { ...badInput, status: 415 },
  'file-not-found': { ...badInput, status: 404 },
  'schema-unsupported': badInput,
  'topic-invalid': badInput,
  // The input parses, but states something impossible.
  'lead-unknown': badInput,
  'lead-duplicate': badInput,
  'lead-missing': badInput,
  'unit-unknown': badInput,
  'gain-invalid': badInput,
  'rate-unsupported': badInput,
  'sample-invalid': badInput,
  'samples-uneven': badInput,
  'sequence-invalid': badInput,
  'clock-invalid': badInput,
  'session-changed': badInput,
  // A device or tenant exceeds its share of the adapter, or sends samples later than the site keeps their window.
  'limit-exceeded': { ...badInput, status: 429 },
  'correction-expired': { ...badInput, status: 409 },
  'field-invalid': badInput,
  'association-overlap': { ...badInput, status: 409 },
  'association-mismatch': { ...badInput, status: 409 },
  // An ECG that no cine may be drawn from, and failures while one is drawn.
  'synthesis-unavailable': { ...badInput, status: 409 },
  'not-screened': { ...badInput, status: 409 },
  'ecg-refused': refused,
  'leads-too-few': refused,
  'ecg-unfamiliar': refused,
  'provider-inactive': misconfigured,
  'artifact-corrupt': { ...internal, status: 502 },
  'worker-lost': { ...internal, permanent: true },
  // The caller.
  unauthorized: { ...badInput, status: 401 },
  // The EHR. Faults that an operator can fix (a key, a scope, an outage) are retried and then redriven; refusals that will not change are
  // not.
  'ehr-unavailable': { status: 503, exitCode: 4, permanent: false },
  'ehr-unauthorized': { status: 502, exitCode: 2, permanent: false },
  'ehr-forbidden': { status: 502, exitCode: 2, permanent: true },
  'ehr-refused': { status: 502, exitCode: 2, permanent: true },
  'ehr-malformed': { status: 502, exitCode: 1, permanent: false },
  'origin-foreign': badInput,
  // The bedside gateway.
  'disk-full': { ...internal, status: 507 },
  'delivery-refused': { ...badInput, status: 502 },
  // The DICOM archive answers, but accepts nothing from us until somebody corrects the AE titles: retried.
  'association-rejected': { status: 502, exitCode: 2, permanent: false },
  // It answers, but breaks off, as when it restarts: retried.
  'association-aborted': { status: 502, exitCode: 4, permanent: false },
  // Data files, and the ports that servers listen on.
  'data-corrupt': misconfigured,
  'data-in-use': misconfigured,
  'data-unwritable': misconfigured,
  'data-foreign': misconfigured,
  'data-newer': misconfigured,
  'port-taken': { ...internal, permanent: true },
  // HTTP, storage and models.
  'not-found': { ...badInput, status: 404 },
  'token-missing': { ...badInput, status: 401 },
  'token-invalid': { ...badInput, status: 401 },
  'scope-missing': { ...badInput, status: 403 },
  // The tenant may not do this here, whatever the scopes of its token.
  'tenant-forbidden': { ...badInput, status: 403 },
  // The request did not come through the site's own host name, which CloudFront serves.
  'address-closed': { ...badInput, status: 403 },
  'request-timeout': { ...badInput, status: 408 },
  'not-acceptable': { ...badInput, status: 406 },
  deleted: { ...badInput, status: 410 },
  'claim-check-mismatch': { ...badInput, status: 500 },
  'bundle-missing': misconfigured,
  'bundle-corrupt': misconfigured,
  'bundle-mismatch': misconfigured,
  'bundle-older': { ...badInput, status: 409 },
  'rollback-impossible': { ...badInput, status: 409 },
  'signature-invalid': { ...badInput, status: 403 },
  'site-config-invalid': misconfigured,
  'calibration-missing': misconfigured,
  'calibration-corrupt': misconfigured,
  'calibration-mismatch': misconfigured,
  'prevalence-unknown': misconfigured,
  unavailable: { ...internal, status: 503, exitCode: 4 },
  internal,
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_KINDS

/** Where an error is. Only names, positions and limits: never a sample, an identifier or free text from the input. */
export type ErrorDetail = Readonly<Record<string, string | number | boolean | undefined>>

/**
 * An error with a stable code.
 * @example
 * throw new CodedError('lead-unknown', { field: 'leads[3].name' })
 */
export class CodedError extends Error {
  readonly code: ErrorCode
  readonly detail: ErrorDetail

  constructor(code: ErrorCode, detail: ErrorDetail = {}, options?: ErrorOptions) {
    const where = Object.entries(detail)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${value}`)
      .join(' ')
    super(where === '' ? code : `${code}: ${where}`, options)
    this.name = 'CodedError'
    this.code = code
    this.detail = detail
  }

  get kind(): ErrorKind {
    return ERROR_KINDS[this.code]
  }
}

/** Returns a coded error as it is. Wraps any other as `internal`, which keeps it as the cause but repeats none of its text. */
export function toCodedError(error: unknown): CodedError {
  return error instanceof CodedError ? error : new CodedError('internal', {}, { cause: error })
}
