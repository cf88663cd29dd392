/**
 * `POST /v1/ecgs`: upload of a file in any supported format.
 * @module
 */
import { createRoute, z } from '@hono/zod-openapi'
import { type ResultWarning, WARNING_CODES } from '../../../shared/domain/warnings.ts'
import { windowStarts } from '../../../shared/domain/window.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { RecordingIntake } from '../../../shared/intake/recording-intake.ts'
import { FORMAT_NAMES } from '../../../streams/formats/index.ts'
import { touch } from '../audit.ts'
import { requireScope } from '../auth.ts'
import { type BodyLimits, boundedBody, contentSha256, uploadedFiles } from '../body.ts'
import { type ParseUpload, parseInline } from '../parsing/pool.ts'
import { limited, type QuotaOptions } from '../quota.ts'
import { Submitted, UploadQuery } from '../schemas.ts'
import { json, needs, problems, routes } from './common.ts'

export interface UploadOptions extends QuotaOptions {
  readonly intake: Pick<RecordingIntake, 'submit'>
  readonly limits: BodyLimits
  /** Parses the files; by default on this thread. */
  readonly parse?: ParseUpload
}

const Binary = z.string().openapi({ format: 'binary' })

/** Only for the OpenAPI document: the route reads the body as bytes, and its format is detected from them. */
const body = {
  required: true,
  content: {
    'application/octet-stream': { schema: Binary },
    'multipart/form-data': { schema: z.object({ file: z.array(Binary) }) },
  },
}

export function uploadRoutes({ intake, limits, parse = parseInline, ...quota }: UploadOptions) {
  const route = createRoute({
    method: 'post',
    path: '/v1/ecgs',
    summary: 'Upload an ECG',
    description: `One file as the body, or several files of one recording (WFDB) as a form. Formats: ${FORMAT_NAMES.join(', ')}. The same content always gets the same ECG id.`,
    security: needs('ecg:write'),
    middleware: [requireScope('ecg:write'), limited(quota, 'uploadsPerMinute'), boundedBody(limits)] as const,
    request: { query: UploadQuery },
    responses: {
      202: {
        ...json(Submitted, 'Accepted. `Location` is the address of the result'),
        headers: z.object({ location: z.string() }),
      },
      ...problems,
    },
  })
  const app = routes()
  app.openAPIRegistry.registerPath({ ...route, request: { ...route.request, body } })
  app.openapi({ ...route, hide: true }, async (c) => {
    const query = c.req.valid('query')
    const { format, device, session: _, firstSample: __, version: ___, warnings: ____, ...stated } = query
    const window = windowOf(query)
    const known = warningsOf(query)
    const files = await uploadedFiles(c.req)
    const recording = await parse(files, { format, ...stated })
    if (window !== undefined && windowStarts(recording).length > 1) {
      throw new CodedError('field-invalid', { field: 'session', expected: 'one window' })
    }
    const { ecgId, windows } = await intake.submit({
      tenant: c.get('caller').tenant,
      origin:
        window === undefined
          ? { kind: 'upload', ...(device === undefined ? {} : { device }) }
          : { kind: 'mqtt', device: window.device, session: window.session },
      recording: known.length === 0 ? recording : { ...recording, warnings: [...(recording.warnings ?? []), ...known] },
      sha256: contentSha256(files, stated),
      window,
    })
    touch(c, ecgId)
    return c.json({ ecgId, status: 'pending' as const, windows }, 202, { location: `/v1/ecgs/${ecgId}` })
  })
  return app
}

/**
 * The session window that is uploaded; `undefined` for a recording.
 * @throws CodedError `field-invalid` when some of its fields are missing
 */
function windowOf({ device, session, firstSample, version }: z.infer<typeof UploadQuery>) {
  if (session === undefined) {
    const left = firstSample !== undefined ? 'firstSample' : version !== undefined ? 'version' : undefined
    if (left !== undefined) throw new CodedError('field-invalid', { field: 'session' })
    return undefined
  }
  if (device === undefined) throw new CodedError('field-invalid', { field: 'device' })
  if (firstSample === undefined) throw new CodedError('field-invalid', { field: 'firstSample' })
  return { device, session, firstSample, version: version ?? 1 }
}

/** @throws CodedError `field-invalid` for an unknown code */
function warningsOf({ warnings }: z.infer<typeof UploadQuery>): readonly ResultWarning[] {
  return (warnings?.split(',') ?? []).map((text) => {
    const code = WARNING_CODES.find((each) => each === text)
    if (code === undefined) throw new CodedError('field-invalid', { field: 'warnings' })
    return { code }
  })
}
