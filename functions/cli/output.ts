/**
 * Output of the commands: results as text, errors in one line, progress on a terminal.
 * @module
 */
import { basename } from 'node:path'
import { styleText } from 'node:util'
import { SingleBar } from 'cli-progress'
import { BLOCK_NAMES } from '../../shared/domain/bundle-branch-blocks.ts'
import { CONDITION_NAMES } from '../../shared/domain/conditions.ts'
import { LEADS } from '../../shared/domain/leads.ts'
import type { Measurements } from '../../shared/domain/measurements.ts'
import type { Finding, IndexEstimate, Result } from '../../shared/domain/result.ts'
import { HEADLINE_INDICES } from '../../shared/domain/result-summary.ts'
import { warningText } from '../../shared/domain/warnings.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { serviceFault } from '../../shared/unreachable.ts'

export const EXIT = { ok: 0, internal: 1, badInput: 2, refused: 3, unreachable: 4 } as const

/** Entry of `--json` for a file that failed. */
export function errorJson(error: unknown, file?: string) {
  const { code, detail } = toCodedError(serviceFault(error))
  return { code, message: sentenceOf({ code, detail }, file && basename(file)), ...detail }
}

/** Prints an error as one line on stderr (sentence and code). Returns the exit code. */
export function reportError(thrown: unknown, file?: string): number {
  const error = serviceFault(thrown)
  const coded = toCodedError(error)
  const cause = error instanceof CodedError ? error.cause : error
  const why = coded.code === 'internal' && cause instanceof Error ? ` (${placeOf(cause)})` : ''
  const sentence = sentenceOf(coded, file && basename(file))
  const place = file === undefined ? '' : `${file}: `
  process.stderr.write(`${place}${styleText('red', sentence)} [${coded.message}]${why}\n`)
  return coded.kind.exitCode
}

/** Place of an unexpected error, for a bug report. The error's text is left out, because it may quote a patient's file. */
function placeOf({ name, stack = '' }: Error): string {
  const [place] = stack.split('\n').flatMap(placeIn)
  return place === undefined ? name : `${name} at ${place}`
}

const ROOMS = ['/functions/', '/shared/', '/streams/']

/** File and line of our own code in a line of a stack trace. */
function placeIn(line: string): readonly string[] {
  const from = Math.max(...ROOMS.map((room) => line.lastIndexOf(room)))
  const [, place] = /^([\w./-]+:\d+):\d+\)?$/.exec(from < 0 ? '' : line.slice(from + 1)) ?? []
  return place !== undefined && line.includes('file://') ? [place] : []
}

/** A result as text. */
export function describeResult(result: Result, options: { readonly title: string; readonly all?: boolean }): string {
  const { quality, provenance } = result
  const heartRate =
    quality.heartRateBpm === null ? 'heart rate unknown' : `${Math.round(quality.heartRateBpm)} beats/min`
  const lines = [styleText('bold', options.title), `  ${describeQuality(result)}, ${heartRate}`]
  const poor = LEADS.filter((lead) => quality.leads[lead] !== 'acceptable')
  if (poor.length > 0)
    lines.push(`  leads not used: ${poor.map((lead) => `${lead} (${quality.leads[lead]})`).join(', ')}`)
  if (quality.derived.length > 0) lines.push(`  leads derived from two others: ${quality.derived.join(', ')}`)
  if (result.measurements !== undefined) lines.push(...describeMeasurements(result.measurements))
  for (const warning of result.warnings) lines.push(styleText('yellow', `  warning: ${warningText(warning)}`))
  if (result.ood?.flagged === true) {
    const { score, threshold } = result.ood
    lines.push(
      styleText(
        'yellow',
        `  UNLIKE the ECGs that the model was trained on: score ${short(score)}, limit ${short(threshold)}.`,
      ),
      '  Do not rely on the numbers below. Check the leads, their order and the electrodes.',
    )
  }
  if (result.status === 'screened') {
    lines.push('', styleText('dim', '  condition                   probability  threshold            learned from'))
    for (const finding of result.findings) {
      const { condition, probability, threshold, evidence } = finding
      const name = CONDITION_NAMES.get(condition) ?? condition
      lines.push(
        `  ${name.padEnd(28)}${percent(probability)}   ${percent(threshold)}   ${verdictOf(finding)} ${evidence}${raisedText(finding)}${predictiveText(finding)}`,
      )
    }
    lines.push(
      '',
      styleText('dim', '  index                                   value  90% interval         r     learned from'),
    )
    for (const index of result.indices) {
      // `--all` shows all 82.
      if (options.all || HEADLINE_INDICES.includes(index.id)) lines.push(describeIndex(index))
    }
  }
  const site = provenance.site === undefined ? '' : ` corrected by site calibration ${provenance.site.slice(0, 12)}`
  lines.push(
    '',
    styleText('dim', `  ${provenance.modelBundle}${site}, profile ${provenance.profile}. ${result.notice}`),
    '',
  )
  return lines.join('\n')
}

/** One line; empty when only the heart rate could be measured. */
function describeMeasurements(measured: Measurements): readonly string[] {
  const { prMs, qrsMs, qtMs, qtcBazettMs, qtcFridericiaMs, axisDegrees, method } = measured
  const parts = [
    prMs === undefined ? [] : `PR ${prMs} ms`,
    qrsMs === undefined ? [] : `QRS ${qrsMs} ms`,
    qtMs === undefined ? [] : `QT ${qtMs} ms`,
    qtcBazettMs === undefined ? [] : `QTc ${qtcBazettMs} ms (Bazett), ${qtcFridericiaMs} ms (Fridericia)`,
    axisDegrees === undefined ? [] : `axis ${axisDegrees}°`,
  ].flat()
  return parts.length === 0 ? [] : [`  measured: ${parts.join(', ')} (${method})`]
}

function verdictOf({ flagged, borderline, withheld }: Finding): string {
  if (withheld !== undefined) return styleText('yellow', 'withheld'.padEnd(10))
  if (flagged) return styleText('yellow', (borderline ? 'FLAGGED ~' : 'FLAGGED').padEnd(10))
  return (borderline ? 'below ~' : 'below').padEnd(10)
}

/** Meaning of the verdict at the site's prevalence. */
function predictiveText({ flagged, predictiveValue }: Finding): string {
  if (predictiveValue === undefined) return ''
  const { prevalence, positive, negative } = predictiveValue
  const share = (value: number) => `${short(100 * value)}%`
  const of = flagged
    ? `${share(positive)} of those flagged have it`
    : `${share(negative)} of those below do not have it`
  return `; ${of}, at a prevalence of ${share(prevalence)}`
}

/** Why the threshold is not that of other people of this sex and age. */
function raisedText({ raisedBy }: Finding): string {
  return raisedBy === undefined ? '' : `; threshold raised: the ECG shows a ${BLOCK_NAMES[raisedBy]}`
}

function describeQuality({ quality }: Result): string {
  if (quality.verdict === 'acceptable') return styleText('green', 'acceptable')
  return styleText('red', `refused: ${quality.reasons.join(', ')}`)
}

function describeIndex({ name, value, unit, low, high, correlation, evidence }: IndexEstimate): string {
  const interval = `${short(low)} to ${short(high)} ${unit}`
  return `  ${name.padEnd(34)}${short(value).padStart(11)}  ${interval.padEnd(20)} ${correlation.toFixed(2).padStart(5)}  ${evidence}`
}

const percent = (value: number) => `${(100 * value).toFixed(1)}%`.padStart(9)
const short = (value: number) => value.toFixed(Math.abs(value) < 10 ? 2 : 1)

/** A progress bar on stderr, if it is a terminal and there are at least `least` steps. */
export function progress(total: number, label: string, least = 20): { step(): void; stop(): void } {
  if (!process.stderr.isTTY || total < least) return { step() {}, stop() {} }
  const bar = new SingleBar({ format: `${label} {bar} {value}/{total} {eta_formatted}`, stream: process.stderr })
  bar.start(total, 0)
  return { step: () => bar.increment(), stop: () => bar.stop() }
}
