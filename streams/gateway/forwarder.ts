/**
 * Forwards ECGs to the cloud in two lanes: new ECGs are sent at once; those that waited while the cloud was unavailable follow, oldest
 * first, at the site's rate. The progress is in the store, so it continues after a kill.
 * @module
 */

import { type CodedError, toCodedError } from '../../shared/errors.ts'
import { pause } from '../../shared/pause.ts'
import type { Cloud } from './cloud.ts'
import type { Store, ToForward } from './store.ts'

export interface ForwarderOptions {
  readonly store: Store
  readonly cloud: Cloud
  readonly backlogPerSecond: number
  readonly now: () => number
  readonly signal: AbortSignal
  readonly onForwarded: (id: number) => void
  /** Called when the cloud becomes unavailable or available again. */
  readonly onState: (isAway: boolean, error?: CodedError) => void
  readonly onRefused: (error: CodedError) => void
}

/** ECGs that arrived within this time count as live. */
const LIVE_MS = 20_000

/** Concurrent requests per lane. */
const WIDTH = 8

const PAUSE_MS = { idle: 500, first: 500, longest: 15_000 } as const

export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #underWay = new Set<number>()
  #isAway = false
  #forwarded = 0
  #wake: (() => void) | undefined
  readonly ended: Promise<void>

  constructor(options: ForwarderOptions) {
    this.#options = options
    options.signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    this.ended = Promise.all([this.#run('live'), this.#run('backlog')]).then(() => {})
  }

  get isAway(): boolean {
    return this.#isAway
  }

  get forwarded(): number {
    return this.#forwarded
  }

  /** Called when an ECG has arrived. */
  wake(): void {
    this.#wake?.()
  }

  async #run(lane: 'live' | 'backlog'): Promise<void> {
    const { signal, backlogPerSecond } = this.#options
    let pauseMs: number = PAUSE_MS.first
    while (!signal.aborted) {
      const batch = this.#next(lane)
      if (batch.length === 0) {
        await this.#idle(lane)
        continue
      }
      const startedAt = performance.now()
      for (const id of batch) this.#underWay.add(id)
      const isAllSent = (await Promise.all(batch.map((id) => this.#send(id)))).every(Boolean)
      for (const id of batch) this.#underWay.delete(id)
      if (signal.aborted) return
      if (!isAllSent) {
        await pause(pauseMs * (0.75 + Math.random() / 2), signal)
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)
        continue
      }
      pauseMs = PAUSE_MS.first
      if (lane === 'backlog') {
        const restMs = (1000 * batch.length) / backlogPerSecond - (performance.now() - startedAt)
        if (restMs > 0) await pause(restMs, signal)
      }
    }
  }

  /**
   * The next ECGs of a lane, oldest first, one per device, so that a device's windows arrive in order of time. The lanes share no row: one
   * starts where the other ends.
   */
  #next(lane: 'live' | 'backlog'): readonly number[] {
    const { store, now } = this.#options
    const since = now() - LIVE_MS
    const from = lane === 'live' ? store.firstSince(since) : 0
    if (from === undefined) return []
    const devices = new Set<string>()
    const isFirstOfDevice = ({ device }: ToForward) => {
      if (device === undefined) return true
      const isFirst = !devices.has(device)
      devices.add(device)
      return isFirst
    }
    return store
      .toForward(from, WIDTH * 4)
      .filter(({ id, receivedAtMs }) => receivedAtMs >= since === (lane === 'live') && !this.#underWay.has(id))
      .filter(isFirstOfDevice)
      .slice(0, WIDTH)
      .map(({ id }) => id)
  }

  async #idle(lane: 'live' | 'backlog'): Promise<void> {
    const { signal } = this.#options
    if (lane === 'backlog') return pause(PAUSE_MS.idle, signal)
    const timeUp = new AbortController()
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    await Promise.race([woken, pause(PAUSE_MS.idle, AbortSignal.any([signal, timeUp.signal]))])
    timeUp.abort()
  }

  async #send(id: number): Promise<boolean> {
    const { store, cloud, signal, onForwarded, onState, onRefused } = this.#options
    const ecg = store.readEcg(id)
    if (ecg === undefined) return true
    try {
      await cloud.send(ecg, signal)
      store.markForwarded([id], 'done')
      this.#forwarded++
      this.#setAway(false)
      onForwarded(id)
      return true
    } catch (cause) {
      const error = toCodedError(cause)
      if (signal.aborted) return false
      if (error.code === 'delivery-refused') {
        store.markForwarded([id], 'dead')
        onRefused(error)
        return true
      }
      if (!this.#isAway) onState(true, error)
      this.#isAway = true
      return false
    }
  }

  #setAway(isAway: boolean): void {
    if (this.#isAway !== isAway) this.#options.onState(isAway)
    this.#isAway = isAway
  }
}
