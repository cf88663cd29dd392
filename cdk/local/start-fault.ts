/**
 * Faults that keep the local stack from starting, as a sentence and an exit code (DESIGN 5): 2 for what the caller must change, 4 for a
 * service that cannot be reached, 1 for all others.
 * @module
 */
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { InvalidArgumentError } from 'commander'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { activeBundle } from '../../shared/inference/active-bundle.ts'
import { readBundle, verifyFile } from '../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import type { CompanionEnd } from './companion.ts'
import { DataFolderError } from './data-folder.ts'

/** A process of the stack ended before it was ready. The message has its own words. */
export class CompanionError extends Error {
  override readonly name = 'CompanionError'
  readonly exitCode: number

  constructor(what: string, { status, words }: CompanionEnd) {
    super(words.length === 0 ? `${what} ended before it was ready (see stack.log)` : `${what}: ${words.join(' ')}`)
    this.exitCode = status === 2 || status === 4 ? status : 1
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CodedError) return error.kind.exitCode
  if (error instanceof CompanionError) return error.exitCode
  return error instanceof DataFolderError ? 2 : 1
}

export function wordsOf(error: unknown): string {
  if (error instanceof CodedError) return `${sentenceOf(error)} [${error.code}]`
  return error instanceof Error ? error.message : String(error)
}

/**
 * Checks the bundle and the broker before the stack starts, because their faults would show late and without a clear message.
 * @throws CodedError those of `readBundle` and `verifyFile`, `unavailable` for the broker
 */
export async function checkStart(broker: string | undefined, model = activeBundle()): Promise<void> {
  await verifyFile(await readBundle(model, CARDIACNETS_V1.name), 'screen.onnx')
  if (broker !== undefined) await reachBroker(broker)
}

/** Parses the option `--broker`. */
export function parseBroker(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && url.hostname !== '' && Object.hasOwn(MQTT_PORTS, url.protocol)) return text
  throw new InvalidArgumentError('a broker is named as mqtt://HOST:PORT, mqtts://, ws:// or wss://')
}

const MQTT_PORTS: Readonly<Record<string, number>> = { 'mqtt:': 1883, 'mqtts:': 8883, 'ws:': 80, 'wss:': 443 }

/** A broker that is started at the same time may need this long. */
const REACH_MS = 10_000

/**
 * Waits until the broker's address accepts connections.
 * @throws CodedError `unavailable` with the address and the reason
 */
export async function reachBroker(url: string, withinMs = REACH_MS): Promise<void> {
  const { protocol, hostname, port } = new URL(url)
  const at = { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || MQTT_PORTS[protocol]) }
  const endAt = performance.now() + withinMs
  for (let waitMs = 250; ; waitMs *= 2) {
    const error = await tryOnce(at, withinMs)
    if (error === undefined) return
    if (performance.now() + waitMs > endAt) {
      const detail = {
        field: '--broker',
        address: `${protocol}//${hostname}:${at.port}`,
        why: error.code ?? 'no answer',
      }
      throw new CodedError('unavailable', detail, { cause: error })
    }
    await pause(waitMs)
  }
}

function tryOnce(at: { host: string; port: number }, timeout: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ ...at, timeout })
    const end = (error?: NodeJS.ErrnoException) => {
      socket.destroy()
      resolve(error)
    }
    socket.once('connect', () => end())
    socket.once('error', end)
    socket.once('timeout', () => end(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })))
  })
}
