/**
 * Drawing jobs of an ECG: those that the API knows already, their progress, and which of them are shown.
 * @module
 */
import { type ReadonlySignal, useComputed, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Schemas } from '../../../streams/client/index.ts'
import type { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { listenToJobs } from '../api/events.ts'

export type Job = Schemas['CmrJob']

/** Most jobs that are shown at once; more are hard to compare. */
const MOST_SHOWN = 4
/** Polling interval. Events report the progress; polling covers their loss. */
const POLL_MS = 4_000

interface Jobs {
  /** By version of the ECG, then seed. */
  readonly all: ReadonlySignal<readonly Job[]>
  readonly shown: ReadonlySignal<readonly Job[]>
  readonly isFull: ReadonlySignal<boolean>
  /** The list has arrived, so it is known what was drawn before. */
  readonly isListed: ReadonlySignal<boolean>
  readonly isAsking: ReadonlySignal<boolean>
  readonly error: ReadonlySignal<ApiError | undefined>
  toggle(jobId: string): void
  /** Requests a job, of the ECG's newest version, and shows it (instead of another). */
  ask(seed: number, instead?: string): Promise<void>
}

export const isGoing = ({ status }: Job) => status === 'queued' || status === 'starting' || status === 'running'

/** Lowest seed without a job. */
export function nextSeed(jobs: readonly Job[]): number {
  const taken = new Set(jobs.map(({ seed }) => seed))
  let seed = 0
  while (taken.has(seed)) seed++
  return seed
}

/**
 * Jobs that are shown when an ECG is opened: those that are being drawn, otherwise the newest that is done. A drawing of an earlier version
 * of the ECG is shown when there is no other.
 */
function shownFirst(newestFirst: readonly Job[], version: number): readonly Job[] {
  const going = newestFirst.filter(isGoing)
  const done = newestFirst.filter(({ status }) => status === 'done')
  return going.length > 0
    ? going.slice(0, MOST_SHOWN)
    : [done.find((job) => job.version === version) ?? done[0]].filter((job) => job !== undefined)
}

/** @param version newest version of the ECG */
export function useJobs(ecgId: string, version: number): Jobs {
  const all = useSignal<readonly Job[]>([])
  const shownIds = useSignal<readonly string[]>([])
  const isListed = useSignal(false)
  const isAsking = useSignal(false)
  const error = useSignal<ApiError | undefined>(undefined)
  const shown = useComputed(() => all.value.filter(({ jobId }) => shownIds.value.includes(jobId)))
  const isFull = useComputed(() => shown.value.length >= MOST_SHOWN)

  const put = (...jobs: readonly Job[]) => {
    const ids = new Set(jobs.map(({ jobId }) => jobId))
    const others = all.peek().filter(({ jobId }) => !ids.has(jobId))
    all.value = [...others, ...jobs].toSorted(
      (a, b) => a.version - b.version || a.seed - b.seed || Date.parse(a.submittedAt) - Date.parse(b.submittedAt),
    )
  }
  const show = (...ids: readonly string[]) => {
    shownIds.value = [...new Set([...shownIds.peek(), ...ids])].slice(0, MOST_SHOWN)
  }
  const refresh = (jobId: string) =>
    wanted(api.GET('/v1/cmr/{jobId}', { params: { path: { jobId } } })).then(
      (job) => {
        const isKnown = all.peek().some((known) => known.jobId === jobId)
        put(job)
        if (!isKnown && isGoing(job)) show(jobId)
      },
      () => {},
    )

  useEffect(() => {
    const stop = listenToJobs((progress) => {
      if (progress.ecgId !== ecgId) return
      const known = all.peek().find(({ jobId }) => jobId === progress.jobId)
      if (known !== undefined) put({ ...known, ...progress })
      // Another page requested it, or there is more to know of its end.
      if (known === undefined || progress.status === 'done' || progress.status === 'failed') {
        void refresh(progress.jobId)
      }
    })
    const timer = setInterval(() => {
      for (const job of all.peek()) if (isGoing(job)) void refresh(job.jobId)
    }, POLL_MS)
    wanted(api.GET('/v1/ecgs/{id}/cmr', { params: { path: { id: ecgId } } })).then(
      ({ items }) => {
        // What arrived meanwhile is newer.
        const ids = new Set(all.peek().map(({ jobId }) => jobId))
        put(...items.filter(({ jobId }) => !ids.has(jobId)))
        show(...shownFirst(items, version).map(({ jobId }) => jobId))
        isListed.value = true
      },
      (cause) => {
        error.value = toApiError(cause)
        isListed.value = true
      },
    )
    return () => {
      stop()
      clearInterval(timer)
    }
  }, [])

  return {
    all,
    shown,
    isFull,
    isListed,
    isAsking,
    error,
    toggle: (jobId) => {
      const isShown = shownIds.peek().includes(jobId)
      if (isShown) shownIds.value = shownIds.peek().filter((id) => id !== jobId)
      else show(jobId)
    },
    ask: async (seed, instead) => {
      isAsking.value = true
      error.value = undefined
      try {
        const job = await wanted(api.POST('/v1/ecgs/{id}/cmr', { params: { path: { id: ecgId } }, body: { seed } }))
        put(job)
        shownIds.value = shownIds.peek().filter((id) => id !== instead)
        show(job.jobId)
      } catch (cause) {
        error.value = toApiError(cause)
      } finally {
        isAsking.value = false
      }
    },
  }
}
