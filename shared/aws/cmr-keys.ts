/**
 * Where jobs lie in the table of results: one row a job, and beside the results of its ECG a row that leads to it, by which whoever deletes the ECG
 * finds it.
 * @module
 */
import type { CmrJobId, EcgId } from '../domain/ecg-id.ts'

const PREFIX = 'cmr#'

export const cmrJobKey = (tenant: string, jobId: string) => ({ pk: `${tenant}#cmr#${jobId}`, sk: 'job' })

export const cmrPointerKey = (tenant: string, ecgId: EcgId, jobId: CmrJobId) => ({
  pk: `${tenant}#${ecgId}`,
  sk: `${PREFIX}${jobId}`,
})

/** The job that a row of an ECG leads to, if it leads to one. */
export function cmrJobOfRow(sk: unknown): CmrJobId | undefined {
  const text = String(sk)
  return text.startsWith(PREFIX) ? (text.slice(PREFIX.length) as CmrJobId) : undefined // our own key
}

export const CMR_POINTERS = PREFIX
