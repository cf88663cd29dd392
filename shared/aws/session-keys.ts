/**
 * Where the digest of a live session's window lies in the table of results: `report` writes it, and who deletes an ECG removes it.
 * @module
 */

export interface SessionKey {
  readonly tenant: string
  readonly device: string
  readonly session: string
}

export const sessionPk = ({ tenant, device, session }: SessionKey): string => `${tenant}#session#${device}#${session}`

/** Where a session's state is, with what was reported of each patient. */
export const headKey = (key: SessionKey) => ({ pk: sessionPk(key), sk: 'head' })

/** Sorts as the number does. */
export const windowSk = (firstSample: number): string => `window#${String(firstSample).padStart(16, '0')}`
