/**
 * The audit trail: who did what to which ECG, when, and how it ended. Two ways, by who acts.
 * - A person (a token of the API, an operator's command): an entry in a table of its own, written before the answer goes out (`aws/audit-store.ts`).
 * - A function of ours: a log line, `message` = audit. Of a live window two of 0.3 KB, which cost 0.3 USD a million; an entry would cost 1.3.
 * Neither holds a patient: an ECG's id, a device's name and a caller's subject, as its token has it.
 * @module
 */

import type { EcgId } from '../domain/ecg-id.ts'
import type { AuditAction, AuditOutcome } from './audit-actions.ts'
import type { Log, LogFields } from './logging.ts'
import { currentTrace } from './tracing.ts'

/** What a person did. */
export interface AuditEntry {
  readonly at: Date
  readonly tenant: string
  readonly action: AuditAction
  readonly outcome: AuditOutcome
  /** `sub` of the caller's token; of an operator, the name that the command was given or found. */
  readonly subject: string
  /** Those that were asked for, shown, written or deleted. */
  readonly ecgIds: readonly EcgId[]
  readonly jobId?: string | undefined
  readonly device?: string | undefined
  /** `2/3`, of an entry that is kept in parts. */
  readonly part?: string | undefined
  readonly traceId: string
}

/** What a function's line says of what it did it to. */
export type AuditOf = Pick<LogFields, 'tenant' | 'ecgId' | 'jobId' | 'device' | 'session'>

/** Writes a function's line. */
export function noteAudit(logger: Log, action: AuditAction, outcome: AuditOutcome, of: AuditOf): void {
  logger.info('audit', { action, outcome, ...of, traceId: currentTrace()?.traceId })
}
