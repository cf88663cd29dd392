/**
 * Where the gateway forwards to: SQS (with IoT credentials, which the AWS SDK finds by itself), or the HTTP API by a token.
 * @module
 */

import { readFile } from 'node:fs/promises'
import { CodedError } from '../../shared/errors.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { packedBody, uploadBody } from './recordings.ts'
import type { Envelope, StoredEcg } from './stored-ecg.ts'

export interface Cloud {
  /**
   * Resolves when the cloud has the ECG.
   * @throws CodedError `unavailable` for what may go better later, `delivery-refused` for what never will
   */
  send(ecg: StoredEcg, signal: AbortSignal): Promise<void>
  /** The cloud's own result of an ECG, JSON; undefined where it has none yet or cannot be asked. */
  result?(of: Envelope, signal: AbortSignal): Promise<string | undefined>
}

/** A request that takes longer is tried again. */
export const REQUEST_MS = 15_000

export function apiCloud(url: string, tokenFile: string | undefined): Cloud {
  const request = async (path: string, init: RequestInit, signal: AbortSignal): Promise<Response> => {
    // Read each time: the token's renewal writes the file.
    const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim()
    const headers = { ...init.headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
      return await fetch(new URL(path, url), { ...init, headers, redirect: 'error', signal: limit })
    } catch (cause) {
      throw new CodedError('unavailable', { field: 'forward' }, { cause })
    }
  }
  return {
    async send({ envelope, packed }, signal) {
      const query = new URLSearchParams({ format: 'json', ...placeOf(envelope) })
      // Of a recording the API makes the id from the body's bytes, which must be the same at each gateway.
      const isLive = envelope.origin.kind === 'mqtt'
      const body = isLive ? packedBody(envelope, packed) : new Uint8Array(uploadBody(envelope, decodeWaveform(packed)))
      const answer = await request(`v1/ecgs?${query}`, { method: 'POST', body }, signal)
      await answer.body?.cancel()
      if (answer.ok) return
      throw new CodedError(isForGood(answer.status) ? 'delivery-refused' : 'unavailable', { status: answer.status })
    },
    async result({ ecgId, version = 1 }, signal) {
      const answer = await request(`v1/ecgs/${ecgId}?version=${version}`, {}, signal)
      if (answer.status === 200) return answer.text()
      await answer.body?.cancel()
      return undefined
    },
  }
}

/** What stands beside the samples: of a live window its place in the session, so that it has the same id there as here. */
function placeOf({ origin, span, version, warnings = [] }: Envelope): Record<string, string> {
  const codes = new Set(warnings.map(({ code }) => code))
  return {
    ...('device' in origin && origin.device !== undefined ? { device: origin.device } : {}),
    ...(origin.kind === 'mqtt' ? { session: origin.session, firstSample: String(span.firstSample) } : {}),
    ...(version === undefined ? {} : { version: String(version) }),
    ...(codes.size === 0 ? {} : { warnings: [...codes].join(',') }),
  }
}

/** A token that has run out, a queue that is full and a server that is down can be mended; what is wrong with the ECG cannot. */
const isForGood = (status: number) => status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status)
