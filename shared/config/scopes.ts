/**
 * What a token may allow, as the API knows it and as a site's groups may be given it.
 * @module
 */

export const SCOPES = ['ecg:read', 'ecg:write', 'cmr:request', 'ops:read', 'ops:write'] as const
export type Scope = (typeof SCOPES)[number]
