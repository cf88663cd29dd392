/**
 * Lambda `sign-in`: the user pool calls it before it issues a token. It knows the site's groups and calls no other service.
 * @module
 */
import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'
import { env } from '../../shared/aws/clients.ts'
import { withClaims } from './claims.ts'

const groups: Readonly<Record<string, readonly string[]>> = JSON.parse(env('GROUPS')) // as the stack wrote it
const rules = { tenants: new Set(env('TENANTS').split(',')), groups: new Map(Object.entries(groups)) }

export const handler = async (event: PreTokenGenerationV2TriggerEvent) => withClaims(event, rules)
