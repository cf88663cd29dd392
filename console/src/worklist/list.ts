/**
 * Rows of the worklist: pages by cursor, new results on top as they arrive, each ECG once.
 * @module
 */
import { batch, computed, signal } from '@preact/signals'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { type Summary, versionOf } from '../api/events.ts'

export interface Filter {
  readonly status?: 'screened' | 'refused'
  readonly flagged?: ConditionId
  /** Part of a device's name. */
  readonly search?: string
  /** Recorded on or after the first day, and up to the end of the last one: `YYYY-MM-DD`, in the user's time zone. */
  readonly from?: string
  readonly to?: string
}

const PAGE = 100

export const filter = signal<Filter>({})
export const rows = signal<readonly Summary[]>([])
export const loading = signal(true)
export const failure = signal<ApiError | undefined>(undefined)
export const hasMore = signal(false)
/** New rows that are held back while the user is further down. */
export const waiting = signal<readonly Summary[]>([])
/** Whether the list is scrolled to the top, where new rows may appear. */
export const isAtTop = signal(true)
/** Index of the row that the keyboard has selected. */
export const chosen = signal(0)

export const isFiltered = computed(() => Object.values(filter.value).some((value) => value !== undefined))

let known = new Set<string>()
let cursor: string | undefined
let generation = 0
let isFetching = false

/** Restarts the list with a filter. */
export async function reload(next: Filter = filter.peek()): Promise<void> {
  generation++
  known = new Set()
  cursor = undefined
  isFetching = false
  batch(() => {
    filter.value = next
    rows.value = []
    waiting.value = []
    loading.value = true
    failure.value = undefined
    hasMore.value = false
    chosen.value = 0
  })
  await more()
}

/** Loads the next page, unless it is loading already. Under a narrow filter pages may contain only a cursor; these are skipped. */
export async function more(): Promise<void> {
  if (isFetching) return
  isFetching = true
  const mine = generation
  try {
    do {
      const query = { limit: PAGE, ...toQuery(filter.peek()), ...(cursor === undefined ? {} : { after: cursor }) }
      const page = await wanted(api.GET('/v1/ecgs', { params: { query } }))
      if (mine !== generation) return
      cursor = page.next
      const fresh = page.items.filter(({ ecgId }) => !known.has(ecgId))
      for (const { ecgId } of fresh) known.add(ecgId)
      batch(() => {
        rows.value = [...rows.peek(), ...fresh]
        hasMore.value = cursor !== undefined
        loading.value = false
        failure.value = undefined
      })
      if (fresh.length > 0) break
    } while (cursor !== undefined)
  } catch (error) {
    if (mine !== generation) return
    batch(() => {
      failure.value = toApiError(error)
      loading.value = false
    })
  } finally {
    if (mine === generation) isFetching = false
  }
}

/**
 * Adds a result that has just arrived. A newer version replaces the row of the older one, or removes it if it does not match the filter any
 * more.
 */
export function arrive(summary: Summary): void {
  const isMatch = matches(summary, filter.peek())
  if (known.has(summary.ecgId)) {
    const replace = (row: Summary) => {
      if (row.ecgId !== summary.ecgId || versionOf(row) > versionOf(summary)) return row
      return isMatch ? summary : []
    }
    batch(() => {
      rows.value = rows.peek().flatMap(replace)
      waiting.value = waiting.peek().flatMap(replace)
      chosen.value = Math.max(0, Math.min(chosen.peek(), rows.peek().length - 1))
    })
    if (![...rows.peek(), ...waiting.peek()].some(({ ecgId }) => ecgId === summary.ecgId)) known.delete(summary.ecgId)
    return
  }
  if (!isMatch) return
  known.add(summary.ecgId)
  if (isAtTop.peek()) {
    batch(() => {
      rows.value = [summary, ...rows.peek()]
      // The selection stays on the same row.
      if (chosen.peek() > 0) chosen.value = chosen.peek() + 1
    })
  } else waiting.value = [summary, ...waiting.peek()]
}

/** Shows the rows that were held back. */
export function letIn(): void {
  batch(() => {
    rows.value = [...waiting.peek(), ...rows.peek()]
    waiting.value = []
    chosen.value = 0
  })
}

export function forget(ecgId: string): void {
  rows.value = rows.peek().filter((row) => row.ecgId !== ecgId)
}

function toQuery({ status, flagged, search, from, to }: Filter) {
  return {
    ...(status === undefined ? {} : { status }),
    ...(flagged === undefined ? {} : { flagged }),
    ...(search === undefined ? {} : { search }),
    ...(from === undefined ? {} : { from: startOf(from).toISOString() }),
    ...(to === undefined ? {} : { to: new Date(startOf(to).getTime() + 86_400_000).toISOString() }),
  }
}

const startOf = (date: string) => new Date(`${date}T00:00:00`)

/** Filters in the same way as the API. */
function matches({ status, flagged, device, startedAt }: Summary, wanted: Filter): boolean {
  if (wanted.status !== undefined && status !== wanted.status) return false
  if (wanted.flagged !== undefined && !flagged.includes(wanted.flagged)) return false
  if (wanted.search !== undefined && !(device ?? '').includes(wanted.search)) return false
  if (wanted.from !== undefined && new Date(startedAt) < startOf(wanted.from)) return false
  if (wanted.to !== undefined && new Date(startedAt).getTime() >= startOf(wanted.to).getTime() + 86_400_000)
    return false
  return true
}
