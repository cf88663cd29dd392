/**
 * Findings of the five conditions: probability, threshold, source of the labels, and their values at another prevalence.
 * @module
 */
import { useSignal } from '@preact/signals'
import type { ConditionId } from '../../../shared/domain/conditions.ts'
import { logit, shifted } from '../../../shared/domain/prevalence.ts'
import type { Finding, Result } from '../../../shared/domain/result.ts'
import { t, word } from '../i18n/index.ts'
import { percent } from '../ui/format.ts'
import { Icon } from '../ui/parts.tsx'

/** Shift of the log-odds per condition, for a prevalence other than that of the bundle's training. */
type Factors = Readonly<Partial<Record<ConditionId, number>>>

/** Range of the shift in log-odds: one twentieth to twenty times the odds at calibration. */
const RANGE = { min: -3, max: 3, step: 0.05 }

export function Findings({ result }: { readonly result: Result }) {
  const factors = useSignal<Factors>({})
  const isOpen = useSignal(false)
  const isChanged = Object.values(factors.value).some((value) => value !== 0)
  return (
    <section class="findings">
      <h2>
        {t('result.title')}
        <button
          type="button"
          class="link push"
          aria-expanded={isOpen.value}
          onClick={() => (isOpen.value = !isOpen.value)}
        >
          {t('prevalence.button')}
        </button>
      </h2>
      {isOpen.value && (
        <p class="hint">
          {t('prevalence.hint')}{' '}
          {isChanged && (
            <button type="button" class="link" onClick={() => (factors.value = {})}>
              {t('prevalence.reset')}
            </button>
          )}
        </p>
      )}
      {isChanged && <p class="hint stressed">{t('prevalence.changed')}</p>}
      <ul>
        {result.findings.map((finding) => {
          const shift = factors.value[finding.condition] ?? 0
          return (
            <Row
              key={finding.condition}
              finding={shift === 0 ? finding : atShift(finding, shift)}
              shift={shift}
              onShift={
                isOpen.value ? (value) => (factors.value = { ...factors.value, [finding.condition]: value }) : undefined
              }
            />
          )
        })}
      </ul>
    </section>
  )
}

/** The library's own correction. Probability and threshold move together, so that flags do not change. */
function atShift({ predictiveValue: _, ...finding }: Finding, shift: number): Finding {
  return {
    ...finding,
    probability: shifted(finding.probability, shift),
    threshold: shifted(finding.threshold, shift),
  }
}

interface RowProps {
  readonly finding: Finding
  readonly shift: number
  readonly onShift: ((value: number) => void) | undefined
}

function Row({ finding, shift, onShift }: RowProps) {
  const { condition, probability, threshold, raisedBy, flagged, borderline, evidence, withheld, predictiveValue } =
    finding
  const state = withheld !== undefined ? 'withheld' : borderline ? 'borderline' : flagged ? 'flagged' : 'clear'
  return (
    <li class={`finding ${state}`} data-condition={condition} data-state={state}>
      <div class="line">
        <b>{word('condition', condition)}</b>
        <span class={`chip ${state}`}>
          {withheld === undefined
            ? state === 'borderline'
              ? t(flagged ? 'finding.borderlineFlagged' : 'finding.borderlineClear')
              : word('finding', state)
            : t('finding.withheld', { reason: word('withheld', withheld.reason) })}
        </span>
        {withheld === undefined && <span class="num value">{percent(probability)}</span>}
      </div>
      {withheld === undefined && (
        <svg
          class="scale"
          viewBox="0 0 100 6"
          preserveAspectRatio="none"
          role="img"
          aria-label={`${percent(probability)}; ${t('finding.threshold')} ${percent(threshold)}`}
        >
          <rect class="track" x="0" y="2" width="100" height="2" />
          <rect class="bar" x="0" y="1" width={100 * place(probability)} height="4" />
          <rect class="mark" x={100 * place(threshold) - 0.3} y="0" width="0.6" height="6" />
        </svg>
      )}
      <div class="line small">
        <span class={`evidence ${evidence}`} title={word('evidenceHint', evidence)}>
          {evidence !== 'real' && <Icon name="warning" />} {word('evidence', evidence)}
        </span>
        <span class="num push">
          {t('finding.threshold')} {percent(threshold)}
        </span>
      </div>
      {withheld === undefined && raisedBy !== undefined && (
        <p class="hint small">{t('finding.raised', { block: word('block', raisedBy) })}</p>
      )}
      {withheld === undefined && predictiveValue !== undefined && (
        <p class="hint small">
          {t(flagged ? 'finding.positiveValue' : 'finding.negativeValue', {
            value: percent(flagged ? predictiveValue.positive : predictiveValue.negative),
            prevalence: percent(predictiveValue.prevalence),
          })}
        </p>
      )}
      {onShift !== undefined && (
        <label class="prevalence">
          <span>{t('prevalence.odds')}</span>
          <input
            type="range"
            {...RANGE}
            value={shift}
            aria-label={`${t('prevalence.odds')}, ${word('condition', condition)}`}
            onInput={({ currentTarget }) => onShift(Number(currentTarget.value))}
          />
          <output class="num">×{Math.exp(shift).toPrecision(2)}</output>
        </label>
      )}
    </li>
  )
}

/** Position on the scale: log-odds from 0.5% to 99%, which gives small probabilities room. */
function place(probability: number): number {
  const [low, high] = [logit(0.005), logit(0.99)]
  return Math.min(1, Math.max(0, (logit(Math.min(0.9999, Math.max(0.0001, probability))) - low) / (high - low)))
}
