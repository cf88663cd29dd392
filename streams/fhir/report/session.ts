/**
 * A live session as one report: the digest of each window, the rule for reporting a change, and the summary.
 * @module
 */
import { createHash } from 'node:crypto'
import type { SessionRule } from '../../../shared/config/site.ts'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import type { Finding, IndexEstimate, Result } from '../../../shared/domain/result.ts'
import { SESSION_ID } from './codes.ts'
import { allowed, type Episode, type Screening } from './screening.ts'

/** What a session stores of a window: enough for its rule, without the 82 indices. */
export interface WindowDigest {
  readonly ecgId: EcgId
  readonly version: number
  readonly firstSample: number
  /** When it was recorded; when it arrived, if the device does not state the time. */
  readonly at: Date
  readonly durationMs: number
  readonly status: Result['status']
  readonly modelSha256: string
  readonly profile: string
  /** SHA-256 of the site calibration, if there is one. */
  readonly site?: string | undefined
  /** In the order of the result's findings; empty when refused. */
  readonly probabilities: readonly number[]
  /** Of the findings that the site allows in its charts. */
  readonly flagged: readonly ConditionId[]
  readonly reasons: readonly string[]
  readonly heartRateBpm: number | null
}

export function digestOf(result: Result, receivedAt: Date, allowsVirtual: boolean): WindowDigest {
  const { ecgId, version, span, status, findings, quality, provenance } = result
  const { findings: tellable } = allowed(result, allowsVirtual)
  return {
    ecgId,
    version,
    firstSample: span.firstSample,
    at: span.startedAt === null ? receivedAt : new Date(span.startedAt),
    durationMs: span.durationMs,
    status,
    modelSha256: provenance.modelSha256,
    profile: provenance.profile,
    ...(provenance.site === undefined ? {} : { site: provenance.site }),
    probabilities: findings.map(({ probability }) => probability),
    flagged: tellable.filter(({ flagged }) => flagged).map(({ condition }) => condition),
    reasons: quality.reasons,
    heartRateBpm: quality.heartRateBpm,
  }
}

/** The newest screened windows, as many as a change must last; fewer when there are not enough. */
export function lastScreened(windows: readonly WindowDigest[], count: number): readonly WindowDigest[] {
  return windows
    .filter(({ status }) => status === 'screened')
    .toSorted((a, b) => a.firstSample - b.firstSample)
    .slice(-count)
}

/**
 * Conditions whose state differs from the last report and is the same in all of the windows.
 * @param last the newest screened windows, as many as the rule requires
 * @param reported conditions that the last report flagged
 */
export function sustainedChanges(
  last: readonly WindowDigest[],
  reported: readonly ConditionId[],
  watch: readonly ConditionId[],
): readonly ConditionId[] {
  return watch.filter((condition) => {
    const changed = !reported.includes(condition)
    return last.every(({ flagged }) => flagged.includes(condition) === changed)
  })
}

/** Runs of at least `least` consecutive screened windows in which a condition was flagged. */
function episodesOf(windows: readonly WindowDigest[], condition: ConditionId, least: number): readonly Episode[] {
  const runs: WindowDigest[][] = [[]]
  for (const window of windows) {
    if (window.status === 'refused') continue
    if (window.flagged.includes(condition)) runs.at(-1)!.push(window)
    else runs.push([])
  }
  return runs
    .filter((run) => run.length >= least)
    .map((run) => ({ condition, from: run[0]!.at.toISOString(), to: endOf(run.at(-1)!), windows: run.length }))
}

const endOf = ({ at, durationMs }: WindowDigest) => new Date(at.getTime() + durationMs).toISOString()

/** Number of results from which a summary takes its indices: evenly spread, so that a day of windows need not be read. */
const INDEX_SAMPLE = 60

/** The windows whose results a summary needs. */
export function sampleOf(windows: readonly WindowDigest[]): readonly WindowDigest[] {
  const screened = ofOneModel(windows).filter(({ status }) => status === 'screened')
  const from = screened.length > 0 ? screened : windows
  const count = Math.min(from.length, INDEX_SAMPLE)
  return Array.from({ length: count }, (_, i) => from[Math.floor((i * from.length) / count)]!)
}

/** The bundle may have changed during the session. Values of two models are not averaged; only the newer model's are used. */
function ofOneModel(windows: readonly WindowDigest[]): readonly WindowDigest[] {
  const { modelSha256, profile } = windows.at(-1)!
  return windows.filter((window) => window.modelSha256 === modelSha256 && window.profile === profile)
}

export interface SummaryOptions extends Pick<SessionRule, 'sustainedWindows'> {
  readonly summaryId: string
  readonly isOver: boolean
}

/**
 * Summarises one patient's windows: the mean of each probability over all screened windows, and of each index and its interval's ends over
 * a sample of them. The interval does not narrow with the number of windows, because an error of the model about a person is the same in
 * every window.
 * @param windows in order of time, at least one
 * @param sample results of `sampleOf(windows)` without deleted ones; at least one
 */
export function summarise(
  windows: readonly WindowDigest[],
  sample: readonly Result[],
  { summaryId, isOver, sustainedWindows }: SummaryOptions,
): Screening {
  const screened = ofOneModel(windows).filter(({ status }) => status === 'screened')
  const { findings, indices, provenance, quality } = sample.at(-1)!
  const [first, last] = [windows[0]!, windows.at(-1)!]
  const refused = windows.filter(({ status }) => status === 'refused')
  const isRefused = screened.length === 0
  const version = hash([isOver, provenance.modelSha256, provenance.profile, windows.map(nameOf)])
  return {
    about: { system: SESSION_ID, value: summaryId },
    version: `${summaryId}/${version}`,
    status: isRefused ? 'refused' : 'screened',
    startedAt: first.at.toISOString(),
    endedAt: endOf(last),
    findings: isRefused
      ? []
      : findings.map((finding, i) =>
          meanFinding(
            finding,
            screened.map((window) => window.probabilities[i]!),
          ),
        ),
    indices: isRefused
      ? []
      : indices.map((index, i) =>
          meanIndex(
            index,
            sample.map((result) => result.indices[i]!),
          ),
        ),
    quality: {
      verdict: isRefused ? 'refused' : quality.verdict,
      reasons: isRefused ? byFrequency(refused.flatMap(({ reasons }) => reasons)) : [],
      heartRateBpm: meanHeartRate(screened),
    },
    // Provenance of the summary: its windows, each of which has its own provenance.
    provenance: { ...provenance, inputSha256: hash(windows.map(nameOf)) },
    session: {
      screenedWindows: screened.length,
      refusedWindows: refused.length,
      indexWindows: isRefused ? 0 : sample.length,
      flaggedShare: findings.map(({ condition }) =>
        mean(screened.map(({ flagged }) => Number(flagged.includes(condition)))),
      ),
      episodes: findings.flatMap(({ condition }) => episodesOf(windows, condition, sustainedWindows)),
      isOver,
    },
  }
}

/** A corrected window makes another summary. Version 1 keeps the name that it always had. */
const nameOf = ({ ecgId, version }: WindowDigest) => (version === 1 ? ecgId : `${ecgId}/v${version}`)

function meanFinding(finding: Finding, probabilities: readonly number[]): Finding {
  const probability = mean(probabilities)
  return { ...finding, probability, flagged: probability >= finding.threshold }
}

function meanIndex(index: IndexEstimate, estimates: readonly IndexEstimate[]): IndexEstimate {
  const over = (of: (estimate: IndexEstimate) => number) => mean(estimates.map(of))
  return { ...index, value: over(({ value }) => value), low: over(({ low }) => low), high: over(({ high }) => high) }
}

function meanHeartRate(windows: readonly WindowDigest[]): number | null {
  const rates = windows.map(({ heartRateBpm }) => heartRateBpm).filter((rate) => rate !== null)
  return rates.length === 0 ? null : mean(rates)
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function byFrequency(reasons: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1]).map(([reason]) => reason)
}

const hash = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex')
