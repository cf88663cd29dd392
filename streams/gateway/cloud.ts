/**
 * The destination of forwarded ECGs: SQS (with IoT credentials, which the AWS SDK finds itself), or the HTTP API with a token.
 * @module
 */

import { readFile } from 'node:fs/promises'
import { CodedError } from '../../shared/errors.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { packedBody, uploadBody } from './recordings.ts'
import type { Envelope, StoredEcg } from './stored-ecg.ts'

export interface Cloud {
  /**
   * Forwards an ECG. Resolves when the cloud has it.
   * @throws CodedError `unavailable` for an error that may pass, `delivery-refused` for a permanent one
   */
  send(ecg: StoredEcg, signal: AbortSignal): Promise<void>
  /** The cloud's own result of an ECG as JSON; `undefined` when it has none yet or cannot be reached. */
  result?(of: Envelope, signal: AbortSignal): Promise<string | undefined>
}

/** A request that takes longer is retried. */
export const REQUEST_MS = 15_000

export function apiCloud(url: string, tokenFile: string | undefined): Cloud {
  const request = async (path: string, init: RequestInit, signal: AbortSignal): Promise<Response> => {
    // Read for each request, because the file changes when the token is renewed.
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
      // For a recording, the API derives the ID from the bytes of the body, so they must be the same at every gateway.
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

/** Parameters beside the samples. A live window has its position in the session, so that it has the same id in the cloud. */
function placeOf({ origin, span, version, warnings = [] }: Envelope): Record<string, string> {
  const codes = new Set(warnings.map(({ code }) => code))
  return {
    ...('device' in origin && origin.device !== undefined ? { device: origin.device } : {}),
    ...(origin.kind === 'mqtt' ? { session: origin.session, firstSample: String(span.firstSample) } : {}),
    ...(version === undefined ? {} : { version: String(version) }),
    ...(codes.size === 0 ? {} : { warnings: [...codes].join(',') }),
  }
}

/** Whether an error is permanent. An expired token, a full queue or a failed server can be fixed; a fault of the ECG cannot. */
const isForGood = (status: number) => status >= 400 && status < 500 && ![401, 403, 408, 409, 425, 429].includes(status)
