/**
 * Deletes an ECG permanently, after a confirmation.
 * @module
 */
import { useRef } from 'preact/hooks'
import { api, wanted } from '../api/client.ts'
import { t } from '../i18n/index.ts'
import { go } from '../router.ts'
import { Icon } from '../ui/parts.tsx'
import { forget } from '../worklist/list.ts'

export function DeleteButton({ id }: { readonly id: string }) {
  const dialog = useRef<HTMLDialogElement>(null)
  return (
    <>
      <button
        type="button"
        class="quiet push"
        onClick={() => dialog.current?.showModal()}
        aria-label={t('ecg.delete')}
        title={t('ecg.delete')}
      >
        <Icon name="deleted" />
      </button>
      <dialog ref={dialog} aria-label={t('ecg.delete')}>
        <h2>{t('ecg.delete')}</h2>
        <p>{t('ecg.deleteHint')}</p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {t('action.cancel')}
          </button>
          <button
            type="button"
            class="primary"
            onClick={() => {
              dialog.current?.close()
              void wanted(api.DELETE('/v1/ecgs/{id}', { params: { path: { id } } })).then(() => {
                forget(id)
                go({ view: 'worklist' })
              })
            }}
          >
            {t('ecg.delete')}
          </button>
        </div>
      </dialog>
    </>
  )
}
