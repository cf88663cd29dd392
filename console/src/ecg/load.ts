/**
 * Loads an ECG: the result, and the samples in pieces, starting with the first ten seconds.
 * @module
 */
import { type Signal, signal } from '@preact/signals'
import { parseResult, type Result } from '../../../shared/domain/result.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { listenToResults } from '../api/events.ts'
import { add, newRecording, type Recording } from './recording.ts'
import type { Subject } from './subject.ts'
import { prepareRenderer } from './trace-renderer.ts'

export interface Opened {
  /** `pending`: accepted, not screened yet. */
  readonly state: Signal<'loading' | 'pending' | 'ready' | 'deleted' | 'failed'>
  readonly result: Signal<Result | undefined>
  readonly recording: Signal<Recording | undefined>
  /** Number of pieces of samples so far; triggers a redraw. */
  readonly pieces: Signal<number>
  readonly error: Signal<ApiError | undefined>
  /** Patient and device of the ECG, as far as the site allows. */
  readonly subject: Signal<Subject | undefined>
  /** True if the result exists but its samples do not. */
  readonly withoutSamples: Signal<boolean>
  close(): void
}

const FIRST_S = 10
const PIECE_S = 30
const PENDING_MS = 1_000

/** Starts to load an ECG. */
export function openEcg(id: string): Opened {
  const ended = new AbortController()
  const opened = {
    state: signal<'loading' | 'pending' | 'ready' | 'deleted' | 'failed'>('loading'),
    result: signal<Result | undefined>(undefined),
    recording: signal<Recording | undefined>(undefined),
    pieces: signal(0),
    error: signal<ApiError | undefined>(undefined),
    subject: signal<Subject | undefined>(undefined),
    withoutSamples: signal(false),
    close: () => {
      ended.abort()
      removeEventListener('focus', again)
      stop()
    },
  }
  // A newer version, or the end of a live recording, updates this page as well.
  const stop = listenToResults(({ ecgId }) => ecgId === id && void loadResult())
  // No event reports the deletion of an ECG, so the result is loaded again when the window gets the focus.
  const again = () => opened.state.peek() === 'ready' && void loadResult()
  addEventListener('focus', again)
  prepareRenderer()
  void loadResult()
  void loadSamples()
  void loadSubject()
  return opened

  async function loadResult(): Promise<void> {
    try {
      const { data, error, response } = await api.GET('/v1/ecgs/{id}', {
        params: { path: { id } },
        parseAs: 'text',
        signal: ended.signal,
      })
      if (!response.ok || data === undefined) return gone(response.status, error)
      if (response.status === 202) {
        opened.state.value = 'pending'
        setTimeout(() => !ended.signal.aborted && void loadResult(), PENDING_MS)
        return
      }
      const before = opened.result.peek()?.version
      const result = parseResult(data)
      opened.result.value = result
      opened.state.value = 'ready'
      // A correction has samples that came late.
      if (before !== undefined && before !== result.version) void loadSamples()
    } catch (error) {
      fail(error)
    }
  }

  function gone(status: number, problem: unknown): void {
    const text = typeof problem === 'string' ? problem : undefined
    const body: unknown = text === undefined ? problem : safeJson(text)
    const isDeleted = status === 410 || (status === 404 && opened.result.peek() !== undefined)
    opened.error.value = new ApiError(status, body)
    opened.state.value = isDeleted ? 'deleted' : 'failed'
  }

  function fail(error: unknown): void {
    if (ended.signal.aborted) return
    opened.error.value = toApiError(error)
    // The page keeps what it shows; it fails only if it shows nothing.
    if (opened.result.peek() === undefined) opened.state.value = 'failed'
  }

  async function loadSubject(): Promise<void> {
    const asked = api.GET('/v1/ecgs/{id}/subject', { params: { path: { id } }, signal: ended.signal })
    const subject = await wanted(asked).catch(() => undefined)
    opened.subject.value = subject
  }

  async function loadSamples(): Promise<void> {
    try {
      const first = await piece(0, FIRST_S)
      const recording = newRecording(first)
      add(recording, first)
      opened.recording.value = recording
      opened.pieces.value++
      const seconds = recording.length / recording.rateHz
      for (let from = FIRST_S; from < seconds; from += PIECE_S) {
        add(recording, await piece(from, PIECE_S))
        opened.pieces.value++
      }
    } catch {
      if (!ended.signal.aborted && opened.recording.peek() === undefined) opened.withoutSamples.value = true
    }
  }

  function piece(from: number, seconds: number) {
    const params = { path: { id }, query: { from, seconds } }
    return wanted(api.GET('/v1/ecgs/{id}/waveform', { params, signal: ended.signal }))
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
