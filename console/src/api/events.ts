/**
 * Event stream of the API. It resumes after a break, publishes its state, and polls page by page if the front end cannot stream.
 * @module
 */
import { signal } from '@preact/signals'
import type { Schemas } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { api, authorizedFetch, toApiError, wanted } from './client.ts'

export type Summary = Schemas['Summary']
/** The first version carries no number. */
export const versionOf = ({ version = 1 }: Summary): number => version

export type JobProgress = Schemas['News']['cmr'][number]

/** `live`: events arrive at once. `polling`: events are requested every few seconds. `lost`: no connection; retried. */
export type FeedState = 'connecting' | 'live' | 'polling' | 'lost'

export const feedState = signal<FeedState>('connecting')
/** Time of the last data from the server, `Date.now()`. */
export const heardAt = signal(0)
/** Delay of the last result between its arrival at the server and here, ms. */
const lagMs = signal<number | undefined>(undefined)

type OnResult = (summary: Summary) => void
type OnJob = (job: JobProgress) => void

const onResult = new Set<OnResult>()
const onJob = new Set<OnJob>()

/** @returns a function that removes the listener */
export function listenToResults(listener: OnResult): () => void {
  onResult.add(listener)
  return () => onResult.delete(listener)
}

export function listenToJobs(listener: OnJob): () => void {
  onJob.add(listener)
  return () => onJob.delete(listener)
}

const POLL_MS = 3_000
/** The server sends something every 15 s; a connection that is silent for this long is lost. */
const SILENT_MS = 40_000
const RETRY_MS = { first: 500, longest: 15_000 }

let after: string | undefined
let running: AbortController | undefined

/** Starts the feed; a second call restarts it, for example with another token. */
export function startFeed(): void {
  running?.abort()
  running = new AbortController()
  void run(running.signal)
}

export function stopFeed(): void {
  running?.abort()
  after = undefined
}

async function run(ended: AbortSignal): Promise<void> {
  let canStream = true
  let wait = RETRY_MS.first
  while (!ended.aborted) {
    try {
      if (canStream) await stream(ended, () => (wait = RETRY_MS.first))
      else await poll(ended)
      // The regular end of a stream is not an error: reconnect at once.
      continue
    } catch (error) {
      if (ended.aborted) return
      const { status, code } = toApiError(error)
      if (status === 406) {
        canStream = false
        continue
      }
      // The server no longer knows the position: start from now.
      if (status === 400 && code === 'field-invalid') after = undefined
      feedState.value = 'lost'
    }
    await pause(wait * (0.75 + Math.random() / 2), ended)
    wait = Math.min(wait * 2, RETRY_MS.longest)
  }
}

async function stream(ended: AbortSignal, onOpen: () => void): Promise<void> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), SILENT_MS)
  const headers: Record<string, string> = { accept: 'text/event-stream' }
  if (after !== undefined) headers['last-event-id'] = after
  const signal = AbortSignal.any([ended, silence.signal])
  try {
    const response = await authorizedFetch(new Request('/v1/events', { headers, signal }))
    if (!response.ok || response.body === null)
      throw new ApiError(response.status, await response.json().catch(() => {}))
    feedState.value = 'live'
    onOpen()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    while (true) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), SILENT_MS)
      heardAt.value = Date.now()
      const blocks = (rest + value).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) take(block)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** One event of the stream (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). */
function take(block: string): void {
  let [event, data] = ['message', '']
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).trimStart()
    if (field === 'id') after = value
    else if (field === 'event') event = value
    else if (field === 'data') data += value
  }
  if (data === '') return
  // Events of our own API, with the types in its document.
  if (event === 'result') tell(JSON.parse(data) as Summary)
  if (event === 'cmr') for (const listener of onJob) listener(JSON.parse(data) as JobProgress)
}

function tell(summary: Summary): void {
  const { arrivedAt } = summary
  if (arrivedAt !== undefined) lagMs.value = Math.max(0, Date.now() - Date.parse(arrivedAt))
  for (const listener of onResult) listener(summary)
}

async function poll(ended: AbortSignal): Promise<void> {
  const query = after === undefined ? {} : { after }
  // Without `accept` the response is a page rather than an event stream.
  const news = (await wanted(api.GET('/v1/events', { params: { query }, signal: ended }))) as Schemas['News']
  after = news.next
  feedState.value = 'polling'
  heardAt.value = Date.now()
  for (const summary of news.items) tell(summary)
  for (const job of news.cmr) for (const listener of onJob) listener(job)
  await pause(POLL_MS, ended)
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    ended.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
