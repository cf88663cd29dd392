/**
 * Outcome of a received payload: the reason code of its acknowledgement, the windows that it closed, or why it was refused.
 * @module
 */
import type { Frame } from '../../shared/domain/frame.ts'
import type { ErrorCode } from '../../shared/errors.ts'
import type { LimitName } from './limits.ts'
import type { Topic } from './topics.ts'

/** Refusal of a payload, as sent to the device. */
export interface Problem {
  readonly code: ErrorCode
  readonly field?: string
  readonly session?: string
  readonly sequence?: number
}

/** MQTT 5, section 3.4.2.1. */
export const REASON = {
  success: 0x00,
  implementationSpecific: 0x83,
  topicNameInvalid: 0x90,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
} as const

/** Outcome of one payload. */
export interface FrameEnd {
  readonly reason: number
  readonly windowIds: readonly number[]
  readonly reject?: {
    readonly id: number | undefined
    readonly problem: Problem
    readonly topic: Topic | undefined
    readonly limit: LimitName | undefined
  }
}

export function reasonFor(topic: Topic | undefined, frame: Frame | undefined): number {
  if (topic === undefined) return REASON.topicNameInvalid
  return frame === undefined ? REASON.payloadFormatInvalid : REASON.implementationSpecific
}
