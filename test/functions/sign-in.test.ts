import type { PreTokenGenerationV2TriggerEvent } from 'aws-lambda'
import { expect, it } from 'vitest'
import { withClaims } from '../../functions/sign-in/claims.ts'

const rules = {
  tenants: new Set(['clinic']),
  groups: new Map([
    ['readers', ['ecg:read']],
    ['clinicians', ['ecg:read', 'ecg:write']],
  ]),
}

function tokenOf(tenant: string | undefined, groups?: readonly string[]) {
  const event = {
    callerContext: { clientId: 'client-1' },
    request: { userAttributes: { 'custom:tenant': tenant }, groupConfiguration: { groupsToOverride: groups } },
    response: { claimsAndScopeOverrideDetails: {} },
  } as unknown as PreTokenGenerationV2TriggerEvent // what is read of it
  return withClaims(event, rules).response.claimsAndScopeOverrideDetails!.accessTokenGeneration!
}

it('a token names the tenant, the client as its audience, and each scope of the groups once', () => {
  expect(tokenOf('clinic', ['readers', 'clinicians', 'somebody-else’s'])).toEqual({
    claimsToAddOrOverride: { aud: 'client-1', tenant: 'clinic' },
    scopesToAdd: ['ecg:read', 'ecg:write'],
  })
})

it.each([[undefined], ['another']])('a token for the tenant %s has no rights', (tenant) => {
  expect(tokenOf(tenant, ['clinicians'])).toEqual({
    claimsToAddOrOverride: { aud: 'client-1' },
    scopesToAdd: [],
  })
})

it('a user in no group has no scopes', () => {
  expect(tokenOf('clinic').scopesToAdd).toEqual([])
})
