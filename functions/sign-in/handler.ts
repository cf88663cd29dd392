/**
 * Lambda `sign-in`: the user pool asks it before each token. It knows the site's groups, and asks nobody.
 * @module
 */
import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'
import { env } from '../../shared/aws/clients.ts'
import { withClaims } from './claims.ts'

const groups: Readonly<Record<string, readonly string[]>> = JSON.parse(env('GROUPS')) // as the stack wrote it
const rules = { tenants: new Set(env('TENANTS').split(',')), groups: new Map(Object.entries(groups)) }

export const handler = async (event: PreTokenGenerationV2TriggerEvent) => withClaims(event, rules)
