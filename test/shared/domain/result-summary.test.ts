import { describe, expect, it } from 'vitest'
import { CONDITION_IDS, INDICES } from '../../../shared/domain/conditions.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import { parseResult, type Result } from '../../../shared/domain/result.ts'
import {
  HEADLINE_INDICES,
  type ResultSummary,
  SUMMARY_BYTES,
  summaryOf,
} from '../../../shared/domain/result-summary.ts'
import { WARNING_CODES } from '../../../shared/domain/warnings.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'

const summarise = (result: Result) => {
  const text = summaryOf(JSON.stringify(result))
  return { text, summary: parseResult(text) as ResultSummary } // as `summaryOf` writes it
}

/** The largest possible result, with `warnings` warnings. */
function largest(warnings: number): Result {
  const long = 0.123_456_789_012_345_6
  const [finding] = makeResult().findings
  return makeResult({
    version: 999_999,
    supersedes: 999_998,
    noLongerFlagged: CONDITION_IDS.map((condition) => ({ condition, evidence: 'teacher' })),
    span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 15_811_200_000, durationMs: 10_000.123_456 },
    quality: {
      verdict: 'acceptable',
      reasons: [],
      leads: { ...makeResult().quality.leads, ...Object.fromEntries(LEADS.map((lead) => [lead, 'acceptable'])) },
      derived: ['III', 'aVR', 'aVL', 'aVF'],
      heartRateBpm: 71.123_456_789,
    },
    warnings: Array.from({ length: warnings }, (_, i) => ({
      code: WARNING_CODES[i % WARNING_CODES.length]!,
      field: `leads[${i}].name`,
      leads: LEADS,
      which: 'RA-LA',
      probability: long,
      withholds: true,
    })),
    measurements: {
      method: 'delineation-v1',
      heartRateBpm: 71.123,
      rrMs: 843.5,
      pMs: 112.5,
      prMs: 162.5,
      qrsMs: 102.5,
      qtMs: 402.5,
      qtcBazettMs: 440.123,
      qtcFridericiaMs: 430.123,
      axisDegrees: -145.123,
    },
    ood: { score: long, threshold: long, flagged: true },
    findings: CONDITION_IDS.map((condition) => ({
      ...finding!,
      condition,
      probability: long,
      threshold: long,
      flagged: false,
      borderline: false,
      evidence: 'virtual',
      withheld: { reason: 'electrodes-exchanged' },
    })),
    indices: makeResult().indices.map((index) => ({
      ...index,
      value: -long,
      low: -long,
      high: -long,
      correlation: -long,
    })),
    provenance: {
      ...makeResult().provenance,
      modelBundle: `${'b'.repeat(64)}@10.10.10`,
      site: 'c'.repeat(64),
      codeVersion: '10.10.10+0123456789ab',
    },
  })
}

describe('summarise', () => {
  it('keeps the findings and headline indices, and counts what it omits', () => {
    const result = makeResult()

    const { summary } = summarise(result)

    const { indices, omitted, ...rest } = summary
    const { indices: all, ...whole } = result
    expect(rest).toEqual(whole)
    expect(indices.map(({ id }) => id)).toEqual(HEADLINE_INDICES)
    expect(indices.every((index) => all.some((each) => each.value === index.value && each.id === index.id))).toBe(true)
    expect(omitted).toEqual({ indices: INDICES.length - HEADLINE_INDICES.length, warnings: 0 })
  })

  it('lists only headline indices that exist', () => {
    expect(INDICES.map(({ id }) => id)).toEqual(expect.arrayContaining([...HEADLINE_INDICES]))
  })

  it.each([0, 1, 5, 50, 5000])('keeps the largest result with %s warnings within 5 KB', (warnings) => {
    const { text, summary } = summarise(largest(warnings))

    expect(SUMMARY_BYTES).toBeLessThanOrEqual(5000)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(SUMMARY_BYTES)
    expect(summary.findings).toHaveLength(CONDITION_IDS.length)
    expect(summary.warnings.length + summary.omitted.warnings).toBe(warnings)
    expect(summary.indices.length + summary.omitted.indices).toBe(INDICES.length)
  })

  it('keeps a refusal unchanged', () => {
    const refusal = makeRefusal()

    expect(summarise(refusal).summary).toEqual({ ...refusal, omitted: { indices: 0, warnings: 0 } })
  })

  it('returns the same bytes for the same result', () => {
    const json = JSON.stringify(makeResult())

    expect(summaryOf(json)).toBe(summaryOf(json))
  })
})
