/**
 * Formats a report for a terminal.
 * @module
 */
import { styleText } from 'node:util'
import type { Interval } from './metrics.ts'
import type { ConditionReport, Counts, Report, Subgroup } from './report.ts'
import { LEAST_PEOPLE, type SiteFit } from './site-fit.ts'

export function describeReport(report: Report): string {
  const { cohort, modelBundle, modelSha256, site, notice } = report
  const corrected = site === undefined ? '' : `, corrected by site calibration ${site.slice(0, 12)}`
  return [
    `${ecgs(cohort.ecgs)} of ${people(cohort.people)}: ${cohort.screened} screened, ${tally('refused', cohort.refused)}, ${tally('failed', cohort.failed)}`,
    styleText('dim', `${modelBundle} ${modelSha256.slice(0, 12)}${corrected}`),
    ...report.conditions.flatMap((condition) => ['', ...describeCondition(condition)]),
    '',
    styleText('dim', notice),
    '',
  ].join('\n')
}

function describeCondition(condition: ConditionReport): string[] {
  const { name, evidence, published, figures, unscreened, subgroups, operatingPoint } = condition
  const lines = [
    `${styleText('bold', name)}  learned from ${evidence}; published AUROC ${published.value.toFixed(2)} (${published.dataset})`,
    `  ${counts(condition)}${unscreened.n === 0 ? '' : `; with a label but not screened: ${unscreened.n}, positive ${unscreened.positives}`}`,
  ]
  if (figures === undefined) {
    lines.push('  no figures: all ECGs with a label are of one kind')
  } else {
    const { brier, ece } = figures.calibration
    lines.push(`  AUROC ${interval(figures.auroc)}`)
    for (const [rule, { threshold, sensitivity, specificity }] of Object.entries(figures.thresholds)) {
      const inUse = rule === operatingPoint ? ', in use' : ''
      lines.push(
        `  at ${threshold.toPrecision(3)} (${rule}${inUse}): sensitivity ${interval(sensitivity)}, specificity ${interval(specificity)}`,
      )
    }
    if (figures.limits !== undefined) {
      const { sensitivity, specificity } = figures.limits
      const inUse = operatingPoint === 'limits' ? ', in use' : ''
      lines.push(
        `  at the limits by sex and age${inUse}: sensitivity ${interval(sensitivity)}, specificity ${interval(specificity)}`,
      )
    }
    lines.push(`  Brier ${brier.toFixed(4)}, ECE ${ece.toFixed(4)}`)
  }
  lines.push(...subgroups.map(describeSubgroup), `  ${describeSite(condition.site)}`)
  return lines
}

function describeSubgroup({ name, auroc, sensitivity, specificity, ...group }: Subgroup): string {
  const figures =
    auroc === undefined || sensitivity === undefined || specificity === undefined
      ? `too few for figures (${LEAST_PEOPLE} people of each kind)`
      : `AUROC ${interval(auroc)}, sensitivity ${interval(sensitivity)}, specificity ${interval(specificity)}`
  return `  ${name.padEnd(11)} ${counts(group)}: ${figures}`
}

const REFUSALS = {
  'too-few-positives': (n: number) => `${people(n)} with the condition, and ${LEAST_PEOPLE} are needed`,
  'too-few-negatives': (n: number) => `${people(n)} without the condition, and ${LEAST_PEOPLE} are needed`,
  'ranks-backwards': () =>
    'here the bundle gives those with the condition the lower probabilities. Do not use this finding',
}

function describeSite(site: SiteFit): string {
  if ('refused' in site) return styleText('yellow', `no site calibration: ${REFUSALS[site.refused](site.people)}`)
  const { method, scale, offset, thresholds } = site.fitted
  const line = method === 'none' ? 'left as it is' : `${method}, log-odds × ${scale.toFixed(3)} + ${offset.toFixed(3)}`
  const { brier, ece } = site.crossValidated
  return `site calibration: ${line}; on left-out people Brier ${brier.toFixed(4)}, ECE ${ece.toFixed(4)}; thresholds youden ${thresholds.youden}, sensitivity90 ${thresholds.sensitivity90}`
}

const counts = ({ n, positives, people: all, positivePeople }: Counts) =>
  all === n
    ? `${ecgs(n)}, positive ${positives}`
    : `${ecgs(n)}, positive ${positives} (${people(all)}, ${positivePeople})`

const ecgs = (n: number) => `${n} ECG${n === 1 ? '' : 's'}`
const people = (n: number) => `${n} ${n === 1 ? 'person' : 'people'}`

/** `2 refused (noise 1, paced 1)` */
function tally(what: string, reasons: Readonly<Record<string, number>>): string {
  const total = Object.values(reasons).reduce((sum, n) => sum + n, 0)
  const list = Object.entries(reasons).map(([reason, n]) => `${reason} ${n}`)
  return `${total} ${what}${total === 0 ? '' : ` (${list.join(', ')})`}`
}

function interval({ value, ci }: Interval): string {
  return `${value.toFixed(3)} ${ci === null ? '(too few people for an interval)' : `(${ci[0].toFixed(3)} to ${ci[1].toFixed(3)})`}`
}
