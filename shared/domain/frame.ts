/**
 * A frame: a short piece of a live stream, as the device sends it.
 * @module
 */
import type { LeadName } from './leads.ts'

/** The int16 value that a device sends for a missing sample. */
export const MISSING_FRAME_SAMPLE = -0x8000

/** Length of a frame, seconds. */
export const FRAME_RANGE_S = { min: 0.2, max: 2 } as const

/** A frame as transmitted. Tenant and device are in the topic, not in the frame. */
export interface Frame {
  /** Chosen by the device when it starts to stream. A restarted stream is a new session. */
  readonly session: string
  /** 0, 1, 2, … within the session. */
  readonly sequence: number
  /** Index of the frame's first sample within the session. */
  readonly firstSample: number
  /** Time of the session's sample 0, milliseconds since 1970 in UTC; the same in every frame of a session. */
  readonly sessionStartedAtMs: number
  readonly rateHz: number
  readonly leads: readonly FrameLead[]
  /** Lead-major, [leads][samples]; `MISSING_FRAME_SAMPLE` where a sample is missing. */
  readonly samples: Int16Array
  readonly heartRateBpm?: number
  /** Marks the session's last frame: windows that are still open are closed at once. */
  readonly isLast?: boolean
}

export interface FrameLead {
  readonly name: LeadName
  /** Microvolts per step. */
  readonly gainUv: number
}
