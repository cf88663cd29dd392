/**
 * Changes on the EHR since a point in time, by the EHR's clock.
 * @module
 */
import * as z from 'zod'
import { CodedError } from '../../shared/errors.ts'
import type { EhrClient, SearchParameters } from './client.ts'
import { isOurs } from './ours.ts'

export interface Change {
  readonly reference: string
  readonly version: string | undefined
  readonly lastUpdated: string | undefined
}

export interface Changes {
  readonly changes: readonly Change[]
  /** No change up to this time is missing. Absent when the server does not return changes in order of time and more pages follow. */
  readonly safeMark: string | undefined
}

/** Small, because ECGs are large and not every server honours `_elements`. */
const PAGE_SIZE = 20

const Page = z.object({
  entry: z
    .array(
      z.object({
        search: z.object({ mode: z.string().optional() }).optional(),
        // A server may add an OperationOutcome, which has no id.
        resource: z.looseObject({
          resourceType: z.string(),
          id: z.string().optional(),
          meta: z.object({ versionId: z.string().optional(), lastUpdated: z.string().optional() }).loose().optional(),
        }),
      }),
    )
    .default([]),
})

/**
 * Pages of changes, without resources that we wrote.
 * @param criteria as in a Subscription: `Observation?code=http://loinc.org|11524-6`
 */
export async function* changesSince(ehr: EhrClient, criteria: string, since: Date): AsyncGenerator<Changes> {
  const { resourceType, parameters } = parseCriteria(criteria)
  const pages = ehr.searchPages(resourceType, {
    ...parameters,
    _lastUpdated: `ge${since.toISOString()}`,
    _sort: '_lastUpdated',
    _count: PAGE_SIZE,
    _elements: 'id,meta,identifier',
  })
  let newest: string | undefined
  let isInOrder = true
  for await (const page of pages) {
    const parsed = Page.safeParse(page)
    if (!parsed.success) throw new CodedError('ehr-malformed', { field: 'entry' })
    const found = parsed.data.entry.filter(
      ({ search, resource }) => search?.mode !== 'outcome' && resource.resourceType === resourceType,
    )
    if (found.some(({ resource }) => resource.id === undefined))
      throw new CodedError('ehr-malformed', { field: 'entry' })
    for (const { resource } of found) {
      const { lastUpdated } = resource.meta ?? {}
      if (lastUpdated === undefined || Number.isNaN(Date.parse(lastUpdated))) continue
      if (newest !== undefined && Date.parse(lastUpdated) < Date.parse(newest)) isInOrder = false
      else newest = lastUpdated
    }
    yield {
      changes: found
        .filter(({ resource }) => !isOurs(resource))
        .map(({ resource: { resourceType, id, meta } }) => ({
          reference: `${resourceType}/${id}`,
          version: meta?.versionId ?? meta?.lastUpdated,
          lastUpdated: meta?.lastUpdated,
        })),
      safeMark: isInOrder ? newest : undefined,
    }
  }
  // All pages were read, in whatever order.
  if (!isInOrder) yield { changes: [], safeMark: newest }
}

function parseCriteria(criteria: string): { resourceType: string; parameters: SearchParameters } {
  const [resourceType = '', query = ''] = criteria.split('?')
  const parameters: Record<string, string[]> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    parameters[name] ??= []
    parameters[name].push(value)
  }
  return { resourceType, parameters }
}
