/**
 * Limits on request bodies: bytes, counted as they arrive, and time.
 * @module
 */
import { createHash } from 'node:crypto'
import type { HonoRequest, MiddlewareHandler } from 'hono'
import { sha256 } from '../../shared/aws/payloads.ts'
import { CodedError } from '../../shared/errors.ts'
import type { ReadOptions, SourceFile } from '../../streams/formats/index.ts'

export interface BodyLimits {
  readonly maxBytes: number
  /** Time limit from the request's headers to the end of its body, ms. */
  readonly timeoutMs: number
}

/** Most files of one recording. */
const MAX_FILES = 16

/**
 * Middleware that reads the whole body before the route runs, so that no later step waits or grows without limit.
 * @throws CodedError `payload-too-large` by the header or the bytes received, `request-timeout` for a body that arrives too slowly,
 * `format-unsupported` for a compressed body, whose decompressed size is unknown
 */
export function boundedBody(limits: BodyLimits): MiddlewareHandler {
  return async (c, next) => {
    const encoding = c.req.header('content-encoding') ?? 'identity'
    if (encoding !== 'identity') throw new CodedError('format-unsupported', { field: 'content-encoding' })
    if (c.req.raw.body !== null) {
      const bytes = await read(c.req.raw.body, c.req.header('content-length'), limits)
      c.req.raw = new Request(c.req.raw, { body: bytes })
    }
    await next()
  }
}

async function read(
  body: ReadableStream<Uint8Array>,
  length: string | undefined,
  { maxBytes, timeoutMs }: BodyLimits,
): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () => new CodedError('payload-too-large', { field: 'body', maxBytes })
  if (Number(length) > maxBytes) throw tooLarge()
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new CodedError('request-timeout', { field: 'body' })), timeoutMs)
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  try {
    for (let bytes = 0; ; ) {
      const { done, value } = await Promise.race([reader.read(), late.promise])
      if (done) return Buffer.concat(chunks)
      bytes += value.length
      if (bytes > maxBytes) throw tooLarge()
      chunks.push(value)
    }
  } catch (error) {
    reader.cancel().catch(() => {})
    // The caller disconnected in mid-body; it gets this answer if it still listens.
    throw error instanceof CodedError ? error : new CodedError('payload-malformed', { field: 'body' }, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/**
 * The files of an upload: the body itself, or the parts of a form.
 * @throws CodedError `payload-empty`, `payload-malformed`, `payload-too-large` for too many parts, `field-invalid` for a name with a path
 */
export async function uploadedFiles(request: HonoRequest): Promise<readonly SourceFile[]> {
  const isForm = /^multipart\/form-data\b/i.test(request.header('content-type') ?? '')
  const files = isForm
    ? await formFiles(request)
    : [{ name: 'body', bytes: new Uint8Array(await request.arrayBuffer()) }]
  if (files.length === 0 || files.every(({ bytes }) => bytes.length === 0)) {
    throw new CodedError('payload-empty', { field: 'body' })
  }
  return files
}

async function formFiles(request: HonoRequest): Promise<readonly SourceFile[]> {
  const form = await request.formData().catch((cause: unknown) => {
    throw new CodedError('payload-malformed', { field: 'body' }, { cause })
  })
  const parts = [...form.values()].filter((part) => part instanceof File)
  if (parts.length > MAX_FILES) throw new CodedError('payload-too-large', { field: 'body', maxFiles: MAX_FILES })
  return Promise.all(
    parts.map(async (part) => {
      // Names only distinguish the files of one recording; no file is opened by name. A name with a path is suspicious.
      if (!/^[^/\\\0]{1,255}$/.test(part.name) || /^\.+$/.test(part.name)) {
        throw new CodedError('field-invalid', { field: 'filename' })
      }
      return { name: part.name, bytes: new Uint8Array(await part.arrayBuffer()) }
    }),
  )
}

/**
 * SHA-256 of everything that determines the samples: the bytes of a single file; for several files also their names; and facts that the
 * caller states and no file contains.
 */
export function contentSha256(
  files: readonly SourceFile[],
  { rateHz, unit, lead, sex, ageYears }: ReadOptions,
): string {
  const [only] = files
  const more = { lead, sex, ageYears }
  const isMore = Object.values(more).some((value) => value !== undefined)
  const isSaid = rateHz !== undefined || unit !== undefined || isMore
  if (only !== undefined && files.length === 1 && !isSaid) return sha256(only.bytes)
  const parts = files.map(({ name, bytes }) => [name, sha256(bytes)] as const).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([parts, rateHz, unit, ...(isMore ? [more] : [])]))
    .digest('hex')
}
