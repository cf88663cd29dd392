/**
 * Attribution: the stretches of an ECG that moved a score. Requested on demand, and drawn as shades below the traces.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { Schemas } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError } from '../api/client.ts'

/** Log-odds that each stretch of each lead contributed. */
export interface Shades {
  /** Start of the first stretch, seconds into the recording. */
  readonly fromS: number
  readonly stretchS: number
  readonly leads: ReadonlyMap<LeadName, readonly number[]>
  /** Largest magnitude of all. */
  readonly largest: number
}

export interface Asked {
  /** Condition whose score is explained; `undefined` requests nothing. */
  readonly condition: Signal<ConditionId | undefined>
  readonly shades: Signal<Shades | undefined>
  readonly isAsking: Signal<boolean>
  readonly error: Signal<ApiError | undefined>
}

const PAUSE_MS = 700
/** Time limit, well above the usual duration. */
const PATIENCE_MS = 90_000

/** Requests the attribution once per ECG, for all conditions together. */
export function useAttribution(id: string): Asked {
  const condition = useSignal<ConditionId | undefined>(undefined)
  const answer = useSignal<Schemas['Attribution'] | undefined>(undefined)
  const shades = useSignal<Shades | undefined>(undefined)
  const isAsking = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const isWanted = condition.value !== undefined

  useEffect(() => {
    if (!isWanted || answer.peek() !== undefined) return
    const ended = new AbortController()
    isAsking.value = true
    error.value = undefined
    ask(id, ended.signal)
      .then(
        (found) => {
          answer.value = found
        },
        (thrown: unknown) => {
          if (!ended.signal.aborted) error.value = toApiError(thrown)
        },
      )
      .finally(() => {
        isAsking.value = false
      })
    return () => ended.abort()
  }, [id, isWanted])
  useEffect(() => {
    shades.value = answer.value && condition.value && shadesOf(answer.value, condition.value)
  }, [answer.value, condition.value])

  return useMemo(() => ({ condition, shades, isAsking, error }), [])
}

async function ask(id: string, signal: AbortSignal): Promise<Schemas['Attribution']> {
  const params = { path: { id } }
  const until = Date.now() + PATIENCE_MS
  for (let isFirst = true; Date.now() < until; isFirst = false) {
    const path = '/v1/ecgs/{id}/attribution'
    const { data, error, response } = await (isFirst
      ? api.POST(path, { params, signal })
      : api.GET(path, { params, signal }))
    if (!response.ok) throw new ApiError(response.status, error)
    if (response.status === 200) return data as Schemas['Attribution'] // what the document says of a 200
    await new Promise((done) => setTimeout(done, PAUSE_MS))
    signal.throwIfAborted()
  }
  throw new ApiError(503, { code: 'unavailable' })
}

function shadesOf({ fromS, stretchMs, conditions }: Schemas['Attribution'], of: ConditionId): Shades | undefined {
  const found = conditions.find(({ condition }) => condition === of)
  if (found === undefined) return undefined
  const leads = new Map(found.leads.map(({ lead, changes }) => [lead as LeadName, changes]))
  const largest = Math.max(1e-9, ...found.leads.flatMap(({ changes }) => changes.map(Math.abs)))
  return { fromS, stretchS: stretchMs / 1000, leads, largest }
}

/** The stretches that raised and lowered the score most. */
export function strongest({ fromS, stretchS, leads }: Shades) {
  const all = [...leads].flatMap(([lead, changes]) =>
    changes.map((change, i) => ({ lead, change, fromS: fromS + i * stretchS, toS: fromS + (i + 1) * stretchS })),
  )
  const sorted = all.toSorted((a, b) => b.change - a.change)
  const [first, last] = [sorted[0], sorted.at(-1)]
  return {
    raised: first !== undefined && first.change > 0 ? first : undefined,
    lowered: last !== undefined && last.change < 0 ? last : undefined,
  }
}
