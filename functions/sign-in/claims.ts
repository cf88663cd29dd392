/**
 * Claims in the tokens of our own user pool: the user's tenant and scopes.
 * @module
 */
import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'

export interface Rules {
  readonly tenants: ReadonlySet<string>
  /** Scopes of each group. */
  readonly groups: ReadonlyMap<string, readonly string[]>
}

/** Attribute with the user's tenant. Only an administrator of the pool can write it. */
const TENANT = 'custom:tenant'

/**
 * Adds the claims to the event for the access token. A user without a tenant of this site gets a token without any access.
 *
 * Cognito's access tokens have no audience by default; the one that is added must be the client's own id.
 * https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
 */
export function withClaims(
  event: PreTokenGenerationV2TriggerEvent,
  { tenants, groups }: Rules,
): PreTokenGenerationV2TriggerEvent {
  const { userAttributes, groupConfiguration } = event.request
  const tenant = userAttributes[TENANT]
  const isKnown = tenant !== undefined && tenants.has(tenant)
  const memberships = groupConfiguration.groupsToOverride ?? []
  const scopes = isKnown ? memberships.flatMap((group) => groups.get(group) ?? []) : []
  return {
    ...event,
    response: {
      claimsAndScopeOverrideDetails: {
        accessTokenGeneration: {
          claimsToAddOrOverride: { aud: event.callerContext.clientId, ...(isKnown ? { tenant } : {}) },
          scopesToAdd: [...new Set(scopes)],
        },
      },
    },
  }
}
