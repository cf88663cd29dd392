/**
 * Results for tests: whole ones, with five findings and 82 indices.
 * @module
 */
import { CONDITION_IDS, INDICES } from '../../shared/domain/conditions.ts'
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import type { LeadVerdict } from '../../shared/domain/quality.ts'
import { NOTICE, type Result } from '../../shared/domain/result.ts'

const MODEL_SHA256 = 'a'.repeat(64)

/** The finding for coronary artery disease learned from real people, all else from simulated ones, as in the bundle that is shipped. */
export function makeResult(overrides: Partial<Result> = {}): Result {
  return {
    ecgId: streamEcgId({ tenant: 'clinic', source: 'mqtt', device: 'd1', session: 's1', firstSample: 0 }),
    version: 1,
    status: 'screened',
    span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 0, durationMs: 10_000 },
    quality: {
      verdict: 'acceptable',
      reasons: [],
      leads: leadVerdicts({ V6: 'noise' }),
      derived: [],
      heartRateBpm: 71.5,
    },
    warnings: [],
    findings: CONDITION_IDS.map((condition, i) => {
      const probability = 0.41 - i * 0.08
      const evidence = condition === 'cad' ? 'real' : 'virtual'
      return { condition, probability, threshold: 0.3, flagged: probability >= 0.3, borderline: false, evidence }
    }),
    indices: INDICES.map(({ id, name, unit }, i) => ({
      id,
      name,
      value: 50 + i / 3,
      unit,
      low: 40 + i / 3,
      high: 60 + i / 3,
      correlation: 0.3 + i / 200,
      evidence: 'virtual',
    })),
    provenance: {
      modelBundle: 'cardiacnets-compact@0.1.0',
      modelSha256: MODEL_SHA256,
      profile: 'cardiacnets-v1',
      codeVersion: 'test',
      inputSha256: 'b'.repeat(64),
    },
    notice: NOTICE,
    ...overrides,
  }
}

/** What the quality gate refused. */
export function makeRefusal(overrides: Partial<Result> = {}): Result {
  const leads = leadVerdicts({ I: 'flat', II: 'lead-off' })
  const quality = { verdict: 'refused', reasons: ['flat', 'lead-off'], leads, derived: [], heartRateBpm: null } as const
  return makeResult({ status: 'refused', findings: [], indices: [], quality, ...overrides })
}

function leadVerdicts(poor: Partial<Record<(typeof LEADS)[number], LeadVerdict>>) {
  const all = LEADS.map((lead) => [lead, poor[lead] ?? 'acceptable'] as const)
  return Object.fromEntries(all) as Record<(typeof LEADS)[number], LeadVerdict> // of all the leads
}
