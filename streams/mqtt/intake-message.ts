/**
 * The intake message of a device's window: the same whether it arrives through the adapter's journal or AWS IoT Core.
 * @module
 */
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { CodedError } from '../../shared/errors.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import { decodeWindow } from './frame-codec.ts'
import { parseTopic, withoutBasicIngest } from './topics.ts'
import { MIN_WINDOW_S, windowWaveform } from './window-assembler.ts'

/** A window of a session, complete or the session's last. */
export interface DeviceWindow {
  readonly tenant: string
  readonly device: string
  readonly session: string
  /** Index within the session. */
  readonly firstSample: number
  /** Time of its first sample, milliseconds since 1970. */
  readonly startedAtMs: number
  readonly heartRateBpm: number | undefined
  readonly waveform: Waveform
  /** Absent means 1. A later version includes samples that arrived after the previous one was closed. */
  readonly version?: number
  /** Samples are missing that may still arrive, in a new version. */
  readonly isShort?: boolean
}

/** The message without the samples. */
export function intakeEnvelope(window: DeviceWindow): Omit<IntakeMessage, 'waveform'> {
  const { tenant, device, session, firstSample, startedAtMs, heartRateBpm, waveform, version = 1, isShort } = window
  return {
    schema: 1,
    tenant,
    ecgId: streamEcgId({ tenant, source: 'mqtt', device, session, firstSample }),
    origin: { kind: 'mqtt', device, session },
    span: {
      startedAt: new Date(startedAtMs).toISOString(),
      firstSample,
      durationMs: (waveform.leads[0]!.samples.length * 1000) / waveform.rateHz,
    },
    ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
    ...(version === 1 ? {} : { version, supersedes: version - 1 }),
    ...(isShort === true ? { warnings: [{ code: 'window-closed-short' }] } : {}),
  }
}

/** Time of a window's first sample, milliseconds since 1970. */
export function startOfWindow(sessionStartedAtMs: number, firstSample: number, rateHz: number): number {
  return Math.round(sessionStartedAtMs + (firstSample * 1000) / rateHz)
}

/**
 * Reads what a device published to `…/window`, like the adapter.
 * @param receivedAtMs the broker's clock, against which the device's is checked
 * @returns `undefined` for a last window that is too short for screening
 * @throws CodedError those of `parseTopic` and `decodeWindow`; `topic-invalid` for another channel
 */
export function readDeviceWindow(text: string, payload: Uint8Array, receivedAtMs: number): DeviceWindow | undefined {
  // A rule does not get the prefix by which it was called; if it did, the window would be the same.
  const { tenant, device, channel } = parseTopic(withoutBasicIngest(text))
  if (channel !== 'window') throw new CodedError('topic-invalid', { field: 'channel' })
  const frame = decodeWindow(payload, undefined, receivedAtMs)
  const { session, firstSample, sessionStartedAtMs, rateHz, leads, heartRateBpm } = frame
  const samples = frame.samples.length / leads.length
  if (samples < MIN_WINDOW_S * rateHz) return undefined
  return {
    tenant,
    device,
    session,
    firstSample,
    startedAtMs: startOfWindow(sessionStartedAtMs, firstSample, rateHz),
    heartRateBpm,
    waveform: windowWaveform({ sessionStartedAtMs, rateHz, leads }, { firstSample, samples }, [frame]),
  }
}
