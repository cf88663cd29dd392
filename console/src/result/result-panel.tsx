/**
 * Result of an ECG, with its reliability.
 * @module
 */
import type { ComponentChildren } from 'preact'
import { LEADS } from '../../../shared/domain/leads.ts'
import type { Measurements } from '../../../shared/domain/measurements.ts'
import type { LeadVerdict } from '../../../shared/domain/quality.ts'
import type { Person } from '../../../shared/domain/recording.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { type ResultWarning, warningText } from '../../../shared/domain/warnings.ts'
import { isCalculated } from '../ecg/recording.ts'
import type { Subject } from '../ecg/subject.ts'
import { language, t, word } from '../i18n/index.ts'
import { number } from '../ui/format.ts'
import { Icon } from '../ui/parts.tsx'
import { Findings } from './findings.tsx'
import { Indices } from './indices.tsx'
import { Trends } from './trends.tsx'

interface ResultPanelProps {
  readonly result: Result
  /** Patient and device of the ECG, as far as the site allows. */
  readonly subject: Subject | undefined
  /** Shown after the measurements. */
  readonly children?: ComponentChildren
}

export function ResultPanel({ result, subject, children }: ResultPanelProps) {
  const { status, quality, warnings, ood, measurements, version, supersedes } = result
  return (
    <>
      {status === 'refused' && <Refused result={result} />}
      {(warnings.length > 0 || ood?.flagged) && (
        <section class="warnings" aria-label={t('result.warnings')}>
          {ood?.flagged && (
            <p>
              <Icon name="warning" />{' '}
              {t('result.unfamiliar', { score: number(ood.score, 1), threshold: number(ood.threshold, 1) })}
            </p>
          )}
          {warnings.map((warning) => (
            <p key={warning.code} data-code={warning.code}>
              <Icon name="warning" /> {sentence(warning)}
            </p>
          ))}
        </section>
      )}
      {version > 1 && <p class="version">{t('result.version', { version, supersedes: supersedes ?? version - 1 })}</p>}
      {status === 'screened' && <Findings result={result} />}
      {(status === 'screened' || quality.heartRateBpm !== null) && (
        <Measured measurements={measurements} rate={quality.heartRateBpm} />
      )}
      {children}
      <LeadQuality result={result} />
      {status === 'screened' && <Indices indices={result.indices} person={subject?.person as Person | undefined} />}
      {subject !== undefined && <Trends subject={subject} ecgId={result.ecgId} />}
      <ProvenanceOf result={result} />
    </>
  )
}

/** Text of a warning: the page's own translation if there is one, otherwise the library's text. */
function sentence(warning: ResultWarning): string {
  if (language.value === 'en') return warningText(warning)
  const text = word('warning', warning.code)
  const where = [warning.which, warning.leads?.join(', '), warning.field]
    .filter((part) => part !== undefined)
    .join('; ')
  return where === '' ? text : `${text}（${where}）`
}

function Refused({ result: { quality } }: { readonly result: Result }) {
  return (
    <section class="refused-box" aria-label={t('status.refused')}>
      <h2>
        <Icon name="refused" /> {t('result.refused')}
      </h2>
      <ul>
        {quality.reasons.map((reason) => (
          <li key={reason}>
            <b>{word('reason', reason)}</b> <span>{word('advice', reason)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

const MEASURED: readonly (readonly [keyof Measurements, string])[] = [
  ['pMs', 'ms'],
  ['prMs', 'ms'],
  ['qrsMs', 'ms'],
  ['qtMs', 'ms'],
  ['qtcBazettMs', 'ms'],
  ['qtcFridericiaMs', 'ms'],
  ['axisDegrees', '°'],
]

interface MeasuredProps {
  readonly measurements: Measurements | undefined
  readonly rate: number | null
}

function Measured({ measurements, rate }: MeasuredProps) {
  const bpm = measurements?.heartRateBpm ?? rate
  return (
    <section class="measured">
      <h2>{t('measured.title')}</h2>
      <dl>
        <div>
          <dt>{t('measured.rate')}</dt>
          <dd class="num">
            {bpm === null ? (
              '–'
            ) : (
              <>
                {number(bpm)} <small>bpm</small>
              </>
            )}
          </dd>
        </div>
        {MEASURED.map(([name, unit]) => {
          const value = measurements?.[name]
          if (measurements === undefined) return null
          return (
            <div key={name} data-measure={name}>
              <dt>{word('measured', name)}</dt>
              <dd class="num" title={value === undefined ? t('measured.unsure') : undefined}>
                {typeof value === 'number' ? (
                  <>
                    {number(value)}
                    {unit === '°' ? unit : <small> {unit}</small>}
                  </>
                ) : (
                  '–'
                )}
              </dd>
            </div>
          )
        })}
      </dl>
      <p class="hint">
        {measurements === undefined ? t('measured.none') : t('measured.method', { method: measurements.method })}
      </p>
    </section>
  )
}

function LeadQuality({ result: { quality } }: { readonly result: Result }) {
  const good = LEADS.filter((lead) => quality.leads[lead] === 'acceptable').length
  const delivered = new Set(LEADS.filter((lead) => (quality.leads[lead] ?? 'missing') !== 'missing'))
  return (
    <section class="quality">
      <h2>
        {t('quality.title')} <small>{t('quality.count', { count: good })}</small>
      </h2>
      <ul>
        {LEADS.map((lead) => {
          const verdict = quality.leads[lead] ?? 'missing'
          const isDerived = quality.derived.includes(lead) || isCalculated(lead, delivered)
          const hasReason = verdict !== 'acceptable' && verdict !== 'missing'
          const text = isDerived && !hasReason ? word('lead', 'derived') : wordsOfVerdict(verdict)
          return (
            <li key={lead} class={isDerived ? 'derived' : verdict === 'acceptable' ? 'good' : 'bad'}>
              <b>{lead}</b>
              <small>{text}</small>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

const wordsOfVerdict = (verdict: LeadVerdict) =>
  verdict === 'acceptable'
    ? t('quality.good')
    : verdict === 'missing'
      ? word('lead', 'missing')
      : word('reason', verdict)

function ProvenanceOf({ result: { ecgId, provenance, version } }: { readonly result: Result }) {
  const { modelBundle, modelSha256, site, profile, codeVersion, inputSha256 } = provenance
  const rows = [
    ['ecg', ecgId],
    ['version', String(version)],
    ['bundle', modelBundle],
    ['bundleSha', modelSha256],
    ['site', site],
    ['profile', profile],
    ['code', codeVersion],
    ['input', inputSha256],
  ] as const
  return (
    <details class="provenance">
      <summary>{t('provenance.title')}</summary>
      <dl>
        {rows.map(
          ([name, value]) =>
            value !== undefined && (
              <div key={name}>
                <dt>{word('provenance', name)}</dt>
                <dd>
                  <code>{value}</code>
                </dd>
              </div>
            ),
        )}
      </dl>
    </details>
  )
}
