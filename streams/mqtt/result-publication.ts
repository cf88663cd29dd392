/**
 * A result as a device gets it, from the adapter or from a function.
 * @module
 */
import { type DeviceResults, summaryOf } from '../../shared/domain/result-summary.ts'
import { CodedError } from '../../shared/errors.ts'
import type { ResultMessage } from '../../shared/messages.ts'
import { TRACEPARENT } from '../../shared/observe/tracing.ts'
import { CONTENT_TYPES } from './frame-codec.ts'
import { buildTopic } from './topics.ts'

/** How long a broker holds a result for a device that is away, where MQTT 5 lets us say so. */
const EXPIRY_S = 24 * 3600

export interface ResultPublication {
  readonly topic: string
  /** The result as JSON: byte for byte as it is stored, or its summary. */
  readonly payload: string
  readonly contentType: string
  readonly expiryS: number
  readonly userProperties: Readonly<Record<string, string>>
}

/** @throws CodedError `field-invalid` for what came from no device, `payload-malformed` for a result that is no JSON */
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
    // The parser's text quotes the result.
    throw new CodedError('payload-malformed', { field: 'result' })
  }
}
