/**
 * Frame around all views: navigation, state of the event stream, and the notice that always stays on the screen.
 * @module
 */
import { effect, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { feedState, heardAt, listenToResults, startFeed } from './api/events.ts'
import { Gate } from './auth/gate.tsx'
import { authState, may, session } from './auth/session.ts'
import { begin, signOut } from './auth/sign-in.ts'
import { EcgView } from './ecg/ecg-view.tsx'
import { LANGUAGES, type Language, language, speak, t, word } from './i18n/index.ts'
import { Live } from './live/live.tsx'
import { Operations } from './operations/operations.tsx'
import { href, route } from './router.ts'
import { ago } from './ui/format.ts'
import { Icon } from './ui/parts.tsx'
import { toggleTheme } from './ui/theme.ts'
import { arrive, reload } from './worklist/list.ts'
import { DropZone } from './worklist/upload.tsx'
import { Worklist } from './worklist/worklist.tsx'

effect(() => {
  document.documentElement.lang = language.value
})

/** When the worklist is loaded while another view is shown, so that it is there on the way back. */
const LIST_LATER_MS = 2000

export function App() {
  const failure = useSignal<string | undefined>(undefined)
  useEffect(() => {
    void begin().then(
      (code) => {
        failure.value = code
      },
      () => {
        // The API is unreachable; the requests report that.
        authState.value = 'open'
      },
    )
    return listenToResults(arrive)
  }, [])
  const state = authState.value
  const isIn = state === 'open' || state === 'signed-in'
  const isList = route.value.view === 'worklist'
  const hasList = useRef(false)
  useEffect(() => {
    hasList.current = false
    // The stream starts before the list is loaded, so that no result is missed between them.
    if (isIn) startFeed()
  }, [isIn])
  useEffect(() => {
    if (!isIn || hasList.current) return
    const load = () => {
      hasList.current = true
      void reload()
    }
    // An ECG or the wall does not wait behind a list that it does not show.
    const timer = setTimeout(load, isList ? 0 : LIST_LATER_MS)
    return () => clearTimeout(timer)
  }, [isIn, isList])
  if (state === 'unknown') return null
  return (
    <>
      <a class="skip" href="#main">
        {t('nav.skip')}
      </a>
      <Header isIn={isIn} />
      {isIn ? <View /> : <Gate failure={failure.value} />}
      <Notice />
      {isIn && <DropZone />}
    </>
  )
}

function View() {
  const at = route.value
  if (at.view === 'live') return <Live key={at.device ?? ''} device={at.device} />
  if (at.view === 'operations') return <Operations key={at.section ?? ''} section={at.section} />
  return at.view === 'ecg' ? <EcgView key={at.id} id={at.id} beside={at.beside} /> : <Worklist />
}

/** Header of the page. Without a session there is no navigation and no state of the event stream. */
function Header({ isIn }: { readonly isIn: boolean }) {
  const { view } = route.value
  const link = (to: 'worklist' | 'live' | 'operations') => (
    <a href={href({ view: to })} aria-current={view === to ? 'page' : undefined}>
      {t(`nav.${to}`)}
    </a>
  )
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="CardiacNets">
        <svg viewBox="0 0 64 24" aria-hidden="true">
          <path d="M1 14h14l4-6 5 6h4l4-11 6 19 4-8h21" />
        </svg>
        <span>CardiacNets</span>
      </a>
      {isIn && (
        <nav aria-label={t('nav.label')}>
          {link('worklist')}
          {link('live')}
          {may('ops:read') && link('operations')}
        </nav>
      )}
      {isIn ? <FeedLamp /> : <span class="push" />}
      <Account />
      <label class="language">
        <span class="sr">{t('nav.language')}</span>
        <select value={language.value} onChange={({ currentTarget }) => speak(currentTarget.value as Language)}>
          {Object.entries(LANGUAGES).map(([id, { name }]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="quiet" aria-label={t('nav.theme')} title={t('nav.theme')} onClick={toggleTheme}>
        <Icon name="theme" />
      </button>
    </header>
  )
}

/** State of the event stream, in words as well as in colour. */
function FeedLamp() {
  const now = useSignal(Date.now())
  useEffect(() => {
    const timer = setInterval(() => (now.value = Date.now()), 5_000)
    return () => clearInterval(timer)
  }, [])
  const state = feedState.value
  return (
    <span class={`feed feed-${state}`} role="status" title={t('feed.hint')}>
      <i aria-hidden="true" />
      {word('feed', state)}
      {/* Read only where it is shown: it changes with every event. */}
      {state === 'lost' && heardAt.value > 0 && (
        <small>{t('feed.since', { ago: ago(now.value - heardAt.value) })}</small>
      )}
    </span>
  )
}

function Account() {
  if (session.value === undefined) return null
  return (
    <span class="account">
      <span class="name">{session.value.name}</span>
      <button type="button" class="quiet" onClick={() => void signOut()}>
        {t('auth.signOut')}
      </button>
    </span>
  )
}

function Notice() {
  return (
    <footer class="notice">
      <b>{t('notice.short')}</b> <span>{t('notice.long')}</span>
    </footer>
  )
}
