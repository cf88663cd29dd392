/**
 * Shared by all routes.
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

/** Stores of the routes about ECGs. */
export interface EcgStores {
  readonly results: ResultStore
  readonly s3: S3Client
  readonly bucket: string
  readonly sqs: SQSClient
  /** Queue for work that no caller waits for. */
  readonly upkeepQueueUrl: string
}

/** A group of routes. A failed validation becomes a problem document that names the field. */
export function routes(): OpenAPIHono<AuthVariables> {
  return new OpenAPIHono<AuthVariables>({
    defaultHook: (parsed) => {
      if (parsed.success) return
      throw new CodedError('field-invalid', { field: parsed.error.issues[0]?.path.join('.') || 'body' })
    },
  })
}

/** A JSON response, for the OpenAPI document. */
export const json = <S extends object>(schema: S, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

/** Error responses that every route may have. */
export const problems = {
  '4XX': { description: 'Problem document', content: { 'application/problem+json': { schema: Problem } } },
  '5XX': { description: 'Problem document', content: { 'application/problem+json': { schema: Problem } } },
} as const

/** Scope that a token needs, for the OpenAPI document; `requireScope` enforces it. */
export const needs = (scope: Scope) => [{ bearer: [scope] }]

/**
 * Parses the ECG id of a path.
 * @throws CodedError `not-found` for text that is not an id, because no such ECG exists
 */
export function ecgIdParam(text: string): EcgId {
  const ecgId = parseEcgId(text)
  if (ecgId === undefined) throw new CodedError('not-found', { field: 'id' })
  return ecgId
}

/**
 * Parses the job id of a path.
 * @throws CodedError `not-found` for text that is not an id, because no such job exists
 */
export function jobIdParam(text: string): CmrJobId {
  const jobId = parseCmrJobId(text)
  if (jobId === undefined) throw new CodedError('not-found', { field: 'jobId' })
  return jobId
}
