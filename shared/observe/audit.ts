/**
 * The audit trail: who did what to which ECG, when, and with which outcome. There are two forms:
 * - A person (with an API token, or an operator's command): an entry in a separate table, written before the response
 *   (`shared/store/audit.ts`).
 * - One of our functions: a log line with `message` = audit. A live window has two lines of 0.3 KB, at 0.3 USD per million; an entry would
 *   cost 1.3.
 *
 * Neither holds patient data: only an ECG's id, a device's name, and a caller's subject as in the token.
 * @module
 */

import type { EcgId } from '../domain/ecg-id.ts'
import type { AuditAction, AuditOutcome } from './audit-actions.ts'
import type { Log, LogFields } from './logging.ts'
import { currentTrace } from './tracing.ts'

/** An action of a person. */
export interface AuditEntry {
  readonly at: Date
  readonly tenant: string
  readonly action: AuditAction
  readonly outcome: AuditOutcome
  /** `sub` of the caller's token. For an operator, the name that the command was given or found. */
  readonly subject: string
  /** ECGs that were requested, shown, written or deleted. */
  readonly ecgIds: readonly EcgId[]
  readonly jobId?: string | undefined
  readonly device?: string | undefined
  /** `2/3`: part of an entry that is stored in several parts. */
  readonly part?: string | undefined
  readonly traceId: string
}

/** Fields of a function's audit line that identify the object of the action. */
export type AuditOf = Pick<LogFields, 'tenant' | 'ecgId' | 'jobId' | 'device' | 'session'>

/** Writes the audit line of a function. */
export function noteAudit(logger: Log, action: AuditAction, outcome: AuditOutcome, of: AuditOf): void {
  logger.info('audit', { action, outcome, ...of, traceId: currentTrace()?.traceId })
}
