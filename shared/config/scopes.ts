/**
 * Scopes of a token, as the API checks them and as a site assigns them to groups.
 * @module
 */

export const SCOPES = ['ecg:read', 'ecg:write', 'cmr:request', 'ops:read', 'ops:write'] as const
export type Scope = (typeof SCOPES)[number]
