/**
 * Turns errors of libraries into coded errors with the service's address, when a service does not answer or rejects our credentials.
 * @module
 */
import { CodedError } from './errors.ts'

/** A call that got no answer. Holds only what may be logged, because the original error may quote more. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly address: string

  constructor(address: string) {
    super('no answer')
    this.address = address
  }
}

/** https://nodejs.org/api/errors.html#common-system-errors, and those of Node's own fetch and of the AWS clients. */
const NO_ANSWER = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_SOCKET',
  'TimeoutError',
  'NetworkingError',
])

/** Names of the errors that AWS clients throw without credentials. */
const NO_CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError'])

/** Properties that Node and the AWS clients put on their errors. */
interface Raw {
  readonly code?: unknown
  readonly name?: unknown
  readonly address?: unknown
  readonly hostname?: unknown
  readonly port?: unknown
  readonly cause?: unknown
  readonly errors?: unknown
  readonly $metadata?: { readonly httpStatusCode?: number }
}

/** The coded error for a fault of a service; any other error unchanged. */
export function serviceFault(error: unknown): unknown {
  if (error instanceof CodedError) {
    const isNamed = error.detail.address !== undefined
    if (error.kind.exitCode !== 4 || isNamed) return error
    return new CodedError(error.code, { ...error.detail, ...placeOf(error.cause) }, { cause: error.cause })
  }
  const chain = causesOf(error)
  if (chain.some(({ name }) => NO_CREDENTIALS.has(String(name)))) {
    return new CodedError('unauthorized', { field: 'AWS credentials' }, { cause: error })
  }
  if (chain.some(isNoAnswer)) return new CodedError('unavailable', placeOf(error), { cause: error })
  const { $metadata, name } = (chain[0] ?? {}) as Raw
  const status = $metadata?.httpStatusCode
  if (status === undefined) return error
  if (status >= 500) return new CodedError('unavailable', { field: 'AWS', why: String(name) }, { cause: error })
  if (status === 401 || status === 403 || String(name) === 'UnrecognizedClientException') {
    return new CodedError('unauthorized', { field: 'AWS credentials' }, { cause: error })
  }
  const isMissing = status === 404 || /NotFound|NonExistent|NoSuch|DoesNotExist/.test(String(name))
  return isMissing ? new CodedError('not-found', { field: String(name) }, { cause: error }) : error
}

const isNoAnswer = ({ code, name }: Raw) => NO_ANSWER.has(String(code)) || NO_ANSWER.has(String(name))

/** An error and its causes, outermost first. */
function causesOf(error: unknown, depth = 0): readonly Raw[] {
  if (typeof error !== 'object' || error === null || depth > 4) return []
  const raw: Raw = error
  const several = Array.isArray(raw.errors) ? raw.errors : []
  return [raw, ...[raw.cause, ...several].flatMap((each) => causesOf(each, depth + 1))]
}

function placeOf(error: unknown): { readonly address?: string; readonly why?: string } {
  const chain = causesOf(error)
  const placed = chain.find(({ address, hostname }) => typeof (address ?? hostname) === 'string')
  const why = chain.find(({ code }) => NO_ANSWER.has(String(code)))?.code
  const host = placed?.address ?? placed?.hostname
  const port = typeof placed?.port === 'number' ? `:${placed.port}` : ''
  return {
    ...(host === undefined ? {} : { address: `${host}${port}` }),
    ...(why === undefined ? {} : { why: String(why) }),
  }
}
