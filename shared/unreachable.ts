/**
 * What the libraries throw when a service does not answer, or does not know us, as coded errors with the service's address.
 * @module
 */
import { CodedError } from './errors.ts'

/** Where nobody answered: what may be said of a call whose own error quotes more. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  readonly address: string

  constructor(address: string) {
    super('no answer')
    this.address = address
  }
}

/** https://nodejs.org/api/errors.html#common-system-errors, and those of Node's own fetch and of AWS' clients. */
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

/** As AWS' clients name what they throw when they have no credentials. */
const NO_CREDENTIALS = new Set(['CredentialsProviderError', 'TokenProviderError'])

/** What Node and the clients of AWS put on their errors. */
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

/** The error as it is coded, where it is of a service; any other as it came. */
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

/** An error and what it says it comes from, the outermost first. */
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
