/**
 * A frame: a short piece of a live stream, as a device sends it.
 * @module
 */
import type { LeadName } from './leads.ts'

/** The int16 value that a device sends where it has no sample. */
export const MISSING_FRAME_SAMPLE = -0x8000

/** Length of a frame, seconds. */
export const FRAME_RANGE_S = { min: 0.2, max: 2 } as const

/** A frame on the wire. Tenant and device stand in the topic, not here. */
export interface Frame {
  /** Chosen by the device when it starts to stream; a restart of the stream is a new session. */
  readonly session: string
  /** 0, 1, 2, … within the session. */
  readonly sequence: number
  /** Index, within the session, of this frame's first sample. */
  readonly firstSample: number
  /** When the session's sample 0 was taken, milliseconds since 1970 in UTC: the same in each frame of a session. */
  readonly sessionStartedAtMs: number
  readonly rateHz: number
  readonly leads: readonly FrameLead[]
  /** Lead-major, [leads][samples]; `MISSING_FRAME_SAMPLE` where there is none. */
  readonly samples: Int16Array
  readonly heartRateBpm?: number
  /** The session's last frame: what is left is closed at once. */
  readonly isLast?: boolean
}

export interface FrameLead {
  readonly name: LeadName
  /** Microvolts a step. */
  readonly gainUv: number
}
