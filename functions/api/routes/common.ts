/**
 * What all routes share.
 * @module
 */
import { OpenAPIHono } from '@hono/zod-openapi'
import { type CmrJobId, type EcgId, parseCmrJobId, parseEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { AuthVariables, Scope } from '../auth.ts'
import { Problem } from '../schemas.ts'

/** A group of routes whose checks end in a problem document that names the field. */
export function routes(): OpenAPIHono<AuthVariables> {
  return new OpenAPIHono<AuthVariables>({
    defaultHook: (parsed) => {
      if (parsed.success) return
      throw new CodedError('field-invalid', { field: parsed.error.issues[0]!.path.join('.') || 'body' })
    },
  })
}

/** A JSON answer, for the document. */
export const json = <S extends object>(schema: S, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** What a route may answer beside its own answers. */
export const problems = {
  '4XX': { description: 'A problem document', content: { 'application/problem+json': { schema: Problem } } },
  '5XX': { description: 'A problem document', content: { 'application/problem+json': { schema: Problem } } },
} as const

/** What a token must allow, for the document; `requireScope` sees to it. */
export const needs = (scope: Scope) => [{ bearer: [scope] }]

/** @throws CodedError `not-found` for what is no id: it names no ECG either */
export function ecgIdParam(text: string): EcgId {
  const ecgId = parseEcgId(text)
  if (ecgId === undefined) throw new CodedError('not-found', { field: 'id' })
  return ecgId
}

/** @throws CodedError `not-found` for what is no id: it names no job either */
export function jobIdParam(text: string): CmrJobId {
  const jobId = parseCmrJobId(text)
  if (jobId === undefined) throw new CodedError('not-found', { field: 'jobId' })
  return jobId
}
