/**
 * Actions of the audit trail.
 * @module
 */
import type { ErrorCode } from '../errors.ts'

/** All actions on an ECG, grouped by who performs them. */
export const AUDIT_ACTIONS = [
  // Routes of the API.
  'ecg.upload',
  'ecg.list',
  'ecg.read',
  'ecg.delete',
  'waveform.read',
  'subject.read',
  'events.read',
  'model-input.read',
  'attribution.request',
  'attribution.read',
  'unidentified.list',
  'association.write',
  'operations.read',
  'messages.redrive',
  'cmr.request',
  'cmr.list',
  'cmr.read',
  'cmr.cancel',
  'artifact.read',
  // Commands of an operator.
  'patient.erase',
  'report.withdraw',
  // Functions.
  'waveform.write',
  'result.write',
  'attribution.write',
  'ehr.read',
  'result.report',
  'result.publish',
  'cmr.dispatch',
  'cmr.draw',
] as const
export type AuditAction = (typeof AUDIT_ACTIONS)[number]

/** `begun` before the action, `done` after it, or the code of the refusal or failure. */
export type AuditOutcome = 'begun' | 'done' | ErrorCode
