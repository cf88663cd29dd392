/**
 * What the paper can do.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import { api, wanted } from '../api/client.ts'
import type { Summary } from '../api/events.ts'
import { t, word } from '../i18n/index.ts'
import { go } from '../router.ts'
import { moment } from '../ui/format.ts'
import { Choice, Icon, withUnit } from '../ui/parts.tsx'
import { isCalibrated } from './calibration.ts'
import type { Asked } from './explain.ts'
import { GAINS, LAYOUTS, PAGE_S, SPEEDS } from './layout.ts'
import type { Caliper } from './measure.ts'
import { prefer, preferences } from './state.ts'

interface ToolbarProps {
  readonly isMeasuring: Signal<boolean>
  readonly isMarching: Signal<boolean>
  readonly caliper: Signal<Caliper | undefined>
  /** What the page shows, where that can be changed. */
  readonly seconds: Signal<number> | undefined
  readonly length: number
  readonly id: string
  readonly device: string | undefined
  readonly beside: string | undefined
  readonly isSide: Signal<boolean>
  /** Shows the window as the network was shown it. */
  readonly isModel: Signal<boolean>
  /** Absent where there is no score to explain. */
  readonly attribution: Asked | undefined
  readonly onCalibrate: () => void
  readonly onSvg: (() => void) | undefined
}

const ZOOMS = [10, 30, 60, 600]

export function Toolbar(props: ToolbarProps) {
  const { isMeasuring, isMarching, caliper, seconds, length, isModel, attribution, onCalibrate, onSvg } = props
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
      <span class="gap" />
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
        disabled={onSvg === undefined}
        onClick={() => print()}
      >
        <Icon name="print" />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={t('ecg.svg')}
        title={t('ecg.svg')}
        disabled={onSvg === undefined}
        onClick={onSvg}
      >
        <Icon name="download" />
      </button>
    </div>
  )
}

/** Whose score's stretches are shaded. */
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

/** Earlier ECGs of the same device, to see one beside or below this one. */
function Earlier({ id, device, beside, isSide }: ToolbarProps) {
  const earlier = useSignal<readonly Summary[]>([])
  useEffect(() => {
    earlier.value = []
    if (device === undefined) return
    wanted(api.GET('/v1/ecgs', { params: { query: { device, limit: 30 } } })).then(
      ({ items }) => {
        earlier.value = items.filter(({ ecgId }) => ecgId !== id)
      },
      () => {},
    )
  }, [id, device])
  if (earlier.value.length === 0) return null
  return (
    <>
      <label class="compare">
        <Icon name="compare" />
        <span class="sr">{t('ecg.compare')}</span>
        <select
          value={beside ?? ''}
          title={t('ecg.compare')}
          onChange={({ currentTarget: { value } }) =>
            go({ view: 'ecg', id, ...(value === '' ? {} : { beside: value }) })
          }
        >
          <option value="">{t('ecg.compareNone')}</option>
          {earlier.value.map(({ ecgId, startedAt }) => (
            <option key={ecgId} value={ecgId}>
              {moment(startedAt)}
            </option>
          ))}
        </select>
      </label>
      {beside !== undefined && (
        <Choice
          label={t('ecg.compare')}
          options={[
            ['over', t('ecg.overlay')],
            ['side', t('ecg.side')],
          ]}
          value={isSide.value ? 'side' : 'over'}
          onChange={(value) => (isSide.value = value === 'side')}
        />
      )}
    </>
  )
}
