/**
 * Screen that replaces the page while nobody is signed in.
 * @module
 */
import { useSignal } from '@preact/signals'
import { t } from '../i18n/index.ts'
import { State } from '../ui/parts.tsx'
import { authState } from './session.ts'
import { signIn } from './sign-in.ts'

const WORDS = {
  'signed-out': ['auth.signedOut', 'auth.hint'],
  locked: ['auth.locked', 'auth.lockedHint'],
  ended: ['auth.ended', 'auth.endedHint'],
} as const

export function Gate({ failure }: { readonly failure: string | undefined }) {
  const isAway = useSignal(false)
  const [title, hint] =
    WORDS[authState.value === 'locked' || authState.value === 'ended' ? authState.value : 'signed-out']
  return (
    <main id="main" class="gate">
      <State icon="lock" title={t(title)} text={t(failure === undefined ? hint : 'auth.failed')}>
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
