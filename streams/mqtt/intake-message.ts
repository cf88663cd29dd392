/**
 * A device's window on its way into the intake: the same message by whichever way it comes, the adapter's journal or AWS IoT Core.
 * @module
 */
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { CodedError } from '../../shared/errors.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import { decodeWindow } from './frame-codec.ts'
import { parseTopic, withoutBasicIngest } from './topics.ts'
import { MIN_WINDOW_S, windowWaveform } from './window-assembler.ts'

/** A window of a session, whole or the session's last. */
export interface DeviceWindow {
  readonly tenant: string
  readonly device: string
  readonly session: string
  /** Within the session. */
  readonly firstSample: number
  /** When its first sample was taken, milliseconds since 1970. */
  readonly startedAtMs: number
  readonly heartRateBpm: number | undefined
  readonly waveform: Waveform
  /** 1 when left out; a later one has samples that came after the one before it was closed. */
  readonly version?: number
  /** Samples are missing that may still come, as a new version. */
  readonly isShort?: boolean
}

/** All of the message but the samples. */
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

/** When a window's first sample was taken, milliseconds since 1970. */
export function startOfWindow(sessionStartedAtMs: number, firstSample: number, rateHz: number): number {
  return Math.round(sessionStartedAtMs + (firstSample * 1000) / rateHz)
}

/**
 * Reads what a device published on `…/window`, as the adapter does.
 * @param receivedAtMs the broker's clock, against which the device's is checked
 * @returns `undefined` for a last window that is too short to be screened
 * @throws CodedError as `parseTopic` and `decodeWindow`; `topic-invalid` for another channel
 */
export function readDeviceWindow(text: string, payload: Uint8Array, receivedAtMs: number): DeviceWindow | undefined {
  // A rule is not told of the prefix by which it was called; should it be, the window is the same.
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
