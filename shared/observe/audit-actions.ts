/**
 * What the audit trail can say.
 * @module
 */
import type { ErrorCode } from '../errors.ts'

/** All that can be done to an ECG, and by what. */
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
  'cmr.read',
  'cmr.cancel',
  'artifact.read',
  // An operator's commands.
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

/** `begun` before it is done, `done` after it, or the code that it was refused or failed with. */
export type AuditOutcome = 'begun' | 'done' | ErrorCode
