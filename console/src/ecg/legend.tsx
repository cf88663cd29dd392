/**
 * Legend below the paper: speed, gain and the other settings of the view.
 * @module
 */
import { t, word } from '../i18n/index.ts'
import { number } from '../ui/format.ts'
import { wordsOf } from '../ui/parts.tsx'
import { type Asked, strongest } from './explain.ts'
import type { View } from './paper.ts'
import { type Recording, secondsOf } from './recording.ts'

interface LegendProps {
  readonly view: View
  readonly recording: Recording
  readonly speed: number
  readonly attribution: Asked
}

export function Legend({ view, recording, speed, attribution }: LegendProps) {
  const isTrue = Math.abs(view.mmPerS - speed) < 0.01
  return (
    <>
      <p class="legend">
        <span class={isTrue ? '' : 'stressed'}>
          {number(view.mmPerS, isTrue ? 0 : 1)} mm/s{!isTrue && ` (${t('ecg.notToScale')})`}
        </span>
        {view.isModel ? (
          <span class="stressed">{t('ecg.asModelLegend')}</span>
        ) : (
          <>
            <span>{view.gain} mm/mV</span>
            <span>{number(recording.rateHz)} Hz</span>
            <span>{t('ecg.unfiltered')}</span>
          </>
        )}
        <span class="num">
          {number(view.from, 2)}–{number(view.from + view.seconds, 2)} s {t('ecg.of')} {number(secondsOf(recording), 1)}{' '}
          s
        </span>
        {recording.loaded < recording.length && <span>{t('state.loading')}</span>}
      </p>
      <WhatMoved {...attribution} />
    </>
  )
}

/** Text description of the shades. */
function WhatMoved({ condition, shades, isAsking, error }: Asked) {
  if (condition.value === undefined) return null
  if (error.value !== undefined) return <p class="legend stressed">{wordsOf(error.value)}</p>
  if (isAsking.value || shades.value === undefined) return <p class="legend">{t('explain.asking')}</p>
  const { raised, lowered } = strongest(shades.value)
  const at = (of: ReturnType<typeof strongest>['raised']) =>
    of &&
    `${of.lead}, ${number(of.fromS, 1)}–${number(of.toS, 1)} s (${of.change > 0 ? '+' : '−'}${number(Math.abs(of.change), 2)})`
  return (
    <p class="legend" data-explains={condition.value}>
      <span class="swatch raised">{t('explain.raised', { condition: word('short', condition.value) })}</span>
      {raised !== undefined && <span class="num">{t('explain.most', { where: at(raised)! })}</span>}
      <span class="swatch lowered">{t('explain.lowered')}</span>
      {lowered !== undefined && <span class="num">{t('explain.most', { where: at(lowered)! })}</span>}
      <span class="hint">{t('explain.hint')}</span>
    </p>
  )
}
