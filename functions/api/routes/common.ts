/**
 * What all routes share.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { OpenAPIHono } from '@hono/zod-openapi'
import { type CmrJobId, type EcgId, parseCmrJobId, parseEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ResultStore } from '../../../shared/store/results.ts'
import type { AuthVariables, Scope } from '../auth.ts'
import { Problem } from '../schemas.ts'

/** What the routes of ECGs read and write. */
export interface EcgStores {
  readonly results: ResultStore
  readonly s3: S3Client
  readonly bucket: string
  readonly sqs: SQSClient
  /** The queue of work for which no caller waits. */
  readonly upkeepQueueUrl: string
}

/** A group of routes whose checks end in a problem document that names the field. */
export function routes(): OpenAPIHono<AuthVariables> {
  return new OpenAPIHono<AuthVariables>({
    defaultHook: (parsed) => {
      if (parsed.success) return
      throw new CodedError('field-invalid', { field: parsed.error.issues[0]?.path.join('.') || 'body' })
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
