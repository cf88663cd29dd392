/**
 * The sending devices, each with its newest window.
 * @module
 */
import { type Signal, signal } from '@preact/signals'
import { api, wanted } from '../api/client.ts'
import { listenToResults, type Summary, versionOf } from '../api/events.ts'

/** Most tiles on the page. */
export const MOST_TILES = 64
/** A device sends a window every ten seconds. */
const STALE_MS = 25_000
const SILENT_MS = 5 * 60_000

export interface LiveDevice {
  readonly device: string
  readonly newest: Summary
  /** Arrival of the newest result, `Date.now()`. */
  readonly at: number
}

/** Devices by name. Each is a signal of its own, so that a new window redraws one tile and not the wall. */
export const devices = signal<ReadonlyMap<string, Signal<LiveDevice>>>(new Map())
export const isListed = signal(false)

export type Pulse = 'live' | 'stale' | 'silent'

export const pulseOf = ({ at }: LiveDevice, now: number): Pulse =>
  now - at > SILENT_MS ? 'silent' : now - at > STALE_MS ? 'stale' : 'live'

/** Delay of the picture: time from the start of the window to the arrival of its result, ms. */
export const behindMs = ({ newest, at }: LiveDevice) => Math.max(0, at - Date.parse(newest.startedAt))

function take(summary: Summary, at: number): void {
  const { device } = summary
  if (device === undefined) return
  const known = devices.peek().get(device)
  const next = { device, newest: summary, at }
  if (known === undefined) devices.value = new Map([...devices.peek(), [device, signal(next)]])
  else if (known.peek().newest.startedAt < summary.startedAt) known.value = next
  // A correction of the newest window: the device itself sent nothing new.
  else if (isCorrection(known.peek().newest, summary)) known.value = { ...known.peek(), newest: summary }
}

const isCorrection = (shown: Summary, next: Summary) => shown.ecgId === next.ecgId && versionOf(shown) < versionOf(next)

/** @returns a function that stops the updates */
export function watchDevices(): () => void {
  const stop = listenToResults((summary) => take(summary, Date.now()))
  wanted(api.GET('/v1/ecgs', { params: { query: { limit: 100 } } })).then(
    ({ items }) => {
      for (const item of items) take(item, Date.parse(item.arrivedAt))
      isListed.value = true
    },
    () => {
      isListed.value = true
    },
  )
  return stop
}

/** Loads a window for the leads that are drawn, as the API sends it. */
export async function windowOf(ecgId: string, leads: readonly string[], ended: AbortSignal): Promise<ArrayBuffer> {
  const params = { path: { id: ecgId }, query: { from: 0, seconds: 10, leads: leads.join(',') } }
  return wanted(api.GET('/v1/ecgs/{id}/waveform', { params, parseAs: 'arrayBuffer', signal: ended }))
}
