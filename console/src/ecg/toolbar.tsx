/**
 * Toolbar of the paper.
 * @module
 */
import type { Signal } from '@preact/signals'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import { t, word } from '../i18n/index.ts'
import { Choice, Icon, withUnit } from '../ui/parts.tsx'
import { isCalibrated } from './calibration.ts'
import { Earlier, type EarlierProps } from './earlier.tsx'
import type { Asked } from './explain.ts'
import { GAINS, LAYOUTS, PAGE_S, SPEEDS } from './layout.ts'
import type { Caliper } from './measure.ts'
import { prefer, preferences } from './state.ts'

interface ToolbarProps extends EarlierProps {
  readonly isMeasuring: Signal<boolean>
  readonly isMarching: Signal<boolean>
  readonly caliper: Signal<Caliper | undefined>
  /** Length of the page, if it can be changed. */
  readonly seconds: Signal<number> | undefined
  readonly length: number
  /** Shows the input window of the network. */
  readonly isModel: Signal<boolean>
  /** Absent if there is no score to explain. */
  readonly attribution: Asked | undefined
  readonly onCalibrate: () => void
  readonly onSvg: () => void
  readonly canPrint: boolean
}

const ZOOMS = [10, 30, 60, 600]

export function Toolbar(props: ToolbarProps) {
  const { isMeasuring, isMarching, caliper, seconds, length, isModel, attribution, onCalibrate, onSvg, canPrint } =
    props
  const { layout, isCabrera, speed, gain } = preferences.value
  return (
    <div class="toolbar" role="toolbar" aria-label={t('ecg.tools')}>
      <Choice
        label={t('ecg.layout')}
        options={LAYOUTS.map((each) => [each, each.replace('x', '×')] as const)}
        value={layout}
        onChange={(value) => prefer({ layout: value })}
      />
      <button
        type="button"
        aria-pressed={isCabrera}
        title={t('ecg.cabreraHint')}
        onClick={() => prefer({ isCabrera: !isCabrera })}
      >
        Cabrera
      </button>
      <Choice
        label={t('ecg.speed')}
        options={withUnit(SPEEDS, 'mm/s')}
        value={speed}
        onChange={(value) => prefer({ speed: value })}
      />
      <Choice
        label={t('ecg.gain')}
        options={withUnit(GAINS, 'mm/mV')}
        value={gain}
        isDisabled={isModel.value}
        onChange={(value) => prefer({ gain: value })}
      />
      {seconds !== undefined && length > PAGE_S && (
        <Choice
          label={t('ecg.stretch')}
          options={ZOOMS.filter((each) => each === PAGE_S || each <= length + 1).map(
            (each) => [each, each < 60 ? `${each} s` : `${each / 60} min`] as const,
          )}
          value={seconds.value}
          onChange={(value) => (seconds.value = Math.min(value, Math.max(PAGE_S, length)))}
        />
      )}
      <div class="tools">
        {attribution !== undefined && (
          <>
            <WhatMoved {...attribution} />
            <button
              type="button"
              data-model
              aria-pressed={isModel.value}
              title={t('ecg.asModelHint')}
              onClick={() => (isModel.value = !isModel.value)}
            >
              {t('ecg.asModel')}
            </button>
          </>
        )}
        <button
          type="button"
          disabled={isModel.value}
          aria-pressed={isMeasuring.value && !isModel.value}
          aria-keyshortcuts="c"
          title={t('ecg.calipersHint')}
          onClick={() => {
            isMeasuring.value = !isMeasuring.value
            if (!isMeasuring.value) caliper.value = undefined
          }}
        >
          <Icon name="caliper" /> {t('ecg.calipers')}
        </button>
        {isMeasuring.value && !isModel.value && (
          <button
            type="button"
            aria-pressed={isMarching.value}
            aria-keyshortcuts="m"
            onClick={() => (isMarching.value = !isMarching.value)}
          >
            {t('ecg.marchOut')}
          </button>
        )}
        <Earlier {...props} />
        <button
          type="button"
          class={isCalibrated.value ? 'quiet' : 'quiet nudge'}
          title={t('card.title')}
          onClick={onCalibrate}
        >
          <Icon name="ruler" /> <span class="wide">{isCalibrated.value ? t('card.done') : t('card.ask')}</span>
        </button>
        <button
          type="button"
          class="quiet"
          aria-label={t('ecg.print')}
          title={t('ecg.print')}
          aria-keyshortcuts="p"
          disabled={!canPrint}
          onClick={() => print()}
        >
          <Icon name="print" />
        </button>
        <button
          type="button"
          class="quiet"
          aria-label={t('ecg.svg')}
          title={t('ecg.svg')}
          disabled={!canPrint}
          onClick={onSvg}
        >
          <Icon name="download" />
        </button>
      </div>
    </div>
  )
}

/** Selects the condition whose attribution is shaded. */
function WhatMoved({ condition }: Asked) {
  return (
    <label class="compare">
      <span class="sr">{t('explain.title')}</span>
      <select
        value={condition.value ?? ''}
        title={t('explain.title')}
        onChange={({ currentTarget: { value } }) => (condition.value = CONDITION_IDS.find((each) => each === value))}
      >
        <option value="">{t('explain.none')}</option>
        {CONDITION_IDS.map((each) => (
          <option key={each} value={each}>
            {t('explain.of', { condition: word('short', each) })}
          </option>
        ))}
      </select>
    </label>
  )
}
