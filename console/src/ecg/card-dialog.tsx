/**
 * One-time calibration: the user holds a bank card to the screen and resizes a frame to match it.
 * @module
 */
import type { Signal } from '@preact/signals'
import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { t } from '../i18n/index.ts'
import { CARD_MM, calibrate, forgetCalibration, isCalibrated, pxPerMm } from './calibration.ts'

const CARD_RATIO = 53.98 / 85.6

export function CardDialog({ open }: { readonly open: Signal<boolean> }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const width = useSignal(Math.round(pxPerMm.value * CARD_MM))
  useEffect(() => {
    if (!open.value) return
    width.value = Math.round(pxPerMm.value * CARD_MM)
    dialog.current?.showModal()
  }, [open.value])
  return (
    <dialog ref={dialog} class="card-dialog" aria-label={t('card.title')} onClose={() => (open.value = false)}>
      <h2>{t('card.title')}</h2>
      <p>{t('card.how')}</p>
      <div
        class="card"
        style={{ width: `${width.value}px`, height: `${width.value * CARD_RATIO}px` }}
        aria-hidden="true"
      >
        <span>85.6 mm</span>
      </div>
      <input
        type="range"
        min={160}
        max={800}
        step={1}
        value={width.value}
        aria-label={t('card.width')}
        onInput={({ currentTarget }) => (width.value = Number(currentTarget.value))}
      />
      <div class="buttons">
        {isCalibrated.value && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              forgetCalibration()
              dialog.current?.close()
            }}
          >
            {t('card.forget')}
          </button>
        )}
        <button type="button" onClick={() => dialog.current?.close()}>
          {t('action.cancel')}
        </button>
        <button
          type="button"
          class="primary"
          onClick={() => {
            calibrate(width.value / CARD_MM)
            dialog.current?.close()
          }}
        >
          {t('card.keep')}
        </button>
      </div>
    </dialog>
  )
}
