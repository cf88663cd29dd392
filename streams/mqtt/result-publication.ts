/**
 * A result in the form that devices get, from the adapter or from a function.
 * @module
 */
import { type DeviceResults, summaryOf } from '../../shared/domain/result-summary.ts'
import { CodedError } from '../../shared/errors.ts'
import type { ResultMessage } from '../../shared/messages.ts'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import { CONTENT_TYPES } from './frame-codec.ts'
import { buildTopic } from './topics.ts'

/** How long a broker keeps a result for a disconnected device, if it supports MQTT 5. */
const EXPIRY_S = 24 * 3600

export interface ResultPublication {
  readonly topic: string
  /** The result as JSON: byte for byte as stored, or its summary. */
  readonly payload: string
  readonly contentType: string
  readonly expiryS: number
  readonly userProperties: Readonly<Record<string, string>>
}

/**
 * Makes the publication of a result.
 * @throws CodedError `field-invalid` for a result that is not of a device, `payload-malformed` for a result that is not JSON
 */
export function resultPublication(
  { tenant, origin, result }: ResultMessage,
  traceparent: string | undefined,
  form: DeviceResults = 'whole',
): ResultPublication {
  if (origin.kind !== 'mqtt') throw new CodedError('field-invalid', { field: 'origin.kind' })
  return {
    topic: buildTopic({ tenant, device: origin.device, channel: 'results' }),
    payload: form === 'summary' ? summarised(result) : result,
    contentType: CONTENT_TYPES.json,
    expiryS: EXPIRY_S,
    userProperties: { 'ecg-id': ecgIdOf(result), ...(traceparent === undefined ? {} : { [TRACEPARENT]: traceparent }) },
  }
}

function summarised(result: string): string {
  try {
    return summaryOf(result)
  } catch {
    throw new CodedError('payload-malformed', { field: 'result' })
  }
}

function ecgIdOf(result: string): string {
  try {
    return String(JSON.parse(result).ecgId)
  } catch {
    // The parser's message quotes the result.
    throw new CodedError('payload-malformed', { field: 'result' })
  }
}
