/**
 * Writes a screening into the EHR, once, replacing earlier versions about the same ECG or session.
 * @module
 */
import type { EhrClient, FhirResource } from '../client.ts'
import { type Replaceable, type ReportOptions, reportBundle } from './bundle.ts'
import { RESULT_ID } from './codes.ts'
import { retriable } from './conflict.ts'
import type { Screening } from './screening.ts'

/** Resource types that a newer version replaces. */
const REPLACEABLE = ['DiagnosticReport', 'RiskAssessment', 'Observation'] as const

/**
 * Writes a report.
 * @returns `exists` when this version is already in the chart
 * @throws CodedError those of the client
 */
export async function writeReport(
  ehr: Pick<EhrClient, 'searchPages' | 'transaction'>,
  options: Omit<ReportOptions, 'replaces'>,
): Promise<'written' | 'exists'> {
  const { screening } = options
  const reports = await ofScreening(ehr, 'DiagnosticReport', screening)
  if (reports.some((report) => isVersion(report, screening))) return 'exists'
  const replaces = reports.some(isCurrent) ? await current(ehr, screening) : []
  try {
    await ehr.transaction(reportBundle({ ...options, replaces }))
    return 'written'
  } catch (error) {
    throw retriable(error)
  }
}

type Searching = Pick<EhrClient, 'searchPages'>

async function current(ehr: Searching, screening: Screening): Promise<readonly Replaceable[]> {
  const found = await Promise.all(REPLACEABLE.map((type) => ofScreening(ehr, type, screening)))
  return found
    .flat()
    .filter(isCurrent)
    .flatMap((resource: object) => (isReplaceable(resource) ? [resource] : []))
}

function isReplaceable(resource: object): resource is Replaceable {
  return 'resourceType' in resource && REPLACEABLE.some((type) => type === resource.resourceType)
}

async function ofScreening(ehr: Searching, type: string, { about }: Screening): Promise<readonly FhirResource[]> {
  const found: FhirResource[] = []
  for await (const page of ehr.searchPages(type, { identifier: `${about.system}|${about.value}`, _count: 100 })) {
    const entries: readonly unknown[] = Array.isArray(page.entry) ? page.entry : []
    for (const entry of entries) {
      const { resource } = entry as { resource?: FhirResource } // of a searchset
      if (resource?.resourceType === type) found.push(resource)
    }
  }
  return found
}

const isCurrent = ({ status }: FhirResource) => status !== 'cancelled' && status !== 'entered-in-error'

function isVersion({ identifier }: FhirResource, { version }: Screening): boolean {
  const all: readonly unknown[] = Array.isArray(identifier) ? identifier : []
  return all.some((each) => {
    const { system, value } = each as { system?: unknown; value?: unknown } // an Identifier
    return system === RESULT_ID && value === version
  })
}
