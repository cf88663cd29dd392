/**
 * All attacks in order: the audit trail is checked last.
 * @module
 */
import { AUDIT_ATTACKS } from './audit.ts'
import { CROSS_TENANT_ATTACKS } from './cross-tenant.ts'
import { JOURNAL_ATTACKS } from './journal.ts'
import { QUOTA_ATTACKS } from './quotas.ts'
import { REQUEST_LINE_ATTACKS } from './request-lines.ts'
import { SLOW_INPUT_ATTACKS } from './slow-inputs.ts'
import { TOKEN_ATTACKS } from './tokens.ts'

export const ATTACKS = [
  ...TOKEN_ATTACKS,
  ...CROSS_TENANT_ATTACKS,
  ...SLOW_INPUT_ATTACKS,
  ...REQUEST_LINE_ATTACKS,
  ...JOURNAL_ATTACKS,
  ...QUOTA_ATTACKS,
  ...AUDIT_ATTACKS,
]
