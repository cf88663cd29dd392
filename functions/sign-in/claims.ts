/**
 * What a token of our own user pool says: whose ECGs its bearer may see, and what it may do with them.
 * @module
 */
import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'

export interface Rules {
  readonly tenants: ReadonlySet<string>
  /** Scopes of each group. */
  readonly groups: ReadonlyMap<string, readonly string[]>
}

/** The user's tenant, which only an administrator of the pool may write. */
const TENANT = 'custom:tenant'

/**
 * The event with what is to stand in the access token. Somebody without a tenant of this site gets a token that opens nothing.
 *
 * Cognito's access tokens name no audience by themselves; the one that is added must be the client's own id.
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
