/**
 * What stands in place of the page while nobody is signed in.
 * @module
 */
import { useSignal } from '@preact/signals'
import { t } from '../i18n/index.ts'
import { State } from '../ui/parts.tsx'
import { authState } from './session.ts'
import { signIn } from './sign-in.ts'

export function Gate({ failure }: { readonly failure: string | undefined }) {
  const isAway = useSignal(false)
  const isLocked = authState.value === 'locked'
  return (
    <main id="main" class="gate">
      <State
        icon="theme"
        title={t(isLocked ? 'auth.locked' : 'auth.signedOut')}
        text={failure === undefined ? t(isLocked ? 'auth.lockedHint' : 'auth.hint') : t('auth.failed')}
      >
        <button
          type="button"
          class="primary"
          onClick={() => {
            isAway.value = false
            signIn().catch(() => {
              isAway.value = true
            })
          }}
        >
          {t('auth.signIn')}
        </button>
        {isAway.value && <p role="alert">{t('auth.away')}</p>}
      </State>
    </main>
  )
}
