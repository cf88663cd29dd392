/**
 * Live view: a wall of all sending devices with their newest windows, or one device with all twelve leads.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import { coloursOf } from '../ecg/paper.ts'
import { add, newRecording } from '../ecg/recording.ts'
import { t, word } from '../i18n/index.ts'
import { href } from '../router.ts'
import { ago, number } from '../ui/format.ts'
import { Icon, State } from '../ui/parts.tsx'
import { theme } from '../ui/theme.ts'
import {
  behindMs,
  devices,
  isListed,
  type LiveDevice,
  MOST_TILES,
  type Pulse,
  pulseOf,
  watchDevices,
  windowOf,
} from './devices.ts'
import { renderTile, type TileRenderer } from './tile-renderer.ts'

const names = new Intl.Collator(undefined, { numeric: true })

export function Live({ device }: { readonly device?: string | undefined }) {
  const now = useSignal(Date.now())
  useEffect(() => {
    const timer = setInterval(() => {
      now.value = Date.now()
    }, 1000)
    const stop = watchDevices()
    return () => {
      clearInterval(timer)
      stop()
    }
  }, [])
  const all = [...devices.value.values()]
  if (device !== undefined) return <Single device={device} known={devices.value.get(device)} now={now} />
  // If there are too many devices, the ones that have been silent longest are hidden.
  const shown = all
    .toSorted((a, b) => b.at - a.at)
    .slice(0, MOST_TILES)
    .toSorted((a, b) => names.compare(a.device, b.device))
  return (
    <main class="live" id="main">
      {shown.length === 0 ? (
        isListed.value ? (
          <State icon="empty" title={t('live.none')} text={t('live.noneHint')} />
        ) : (
          <State icon="loading" title={t('state.loading')} />
        )
      ) : (
        <>
          <p class="live-sum">
            {t('live.sum', {
              live: all.filter((each) => pulseOf(each, now.value) === 'live').length,
              count: all.length,
            })}
            {all.length > shown.length && ` ${t('live.more', { count: all.length - shown.length })}`}
          </p>
          <div class="wall" data-tiles={shown.length}>
            {shown.map((each) => (
              <Tile key={each.device} known={each} pulse={pulseOf(each, now.value)} now={now} />
            ))}
          </div>
        </>
      )}
    </main>
  )
}

interface TileProps {
  readonly known: LiveDevice
  readonly pulse: Pulse
  readonly now: Signal<number>
}

function Tile({ known, pulse, now }: TileProps) {
  const { device, newest } = known
  return (
    <a class={`tile ${pulse}`} href={href({ view: 'live', device })} data-device={device} data-pulse={pulse}>
      <header>
        <b>{device}</b>
        {CONDITION_IDS.filter((id) => newest.flagged.includes(id)).map((id) => (
          <span key={id} class="chip flagged">
            {word('short', id)}
          </span>
        ))}
        {newest.status === 'refused' && (
          <span class="chip">
            {(newest.reasons ?? []).map((reason) => word('reason', reason)).join(', ') || t('status.refused')}
          </span>
        )}
        <Rate bpm={newest.heartRateBpm} />
      </header>
      <SweepCanvas ecgId={newest.ecgId} leads={TILE_LEADS} lead="II" />
      <footer>
        <span>II</span>
        <Age known={known} pulse={pulse} now={now} />
      </footer>
    </a>
  )
}

function Rate({ bpm }: { readonly bpm: number | undefined }) {
  if (bpm === undefined) return <span class="rate num">–</span>
  return (
    <span class="rate num">
      {number(bpm)} <small>bpm</small>
    </span>
  )
}

const TILE_LEADS = ['II'] as const

/** Delay of the picture, or time since the last window. */
function Age({ known, pulse, now }: TileProps) {
  if (pulse === 'live')
    return <span class="push num">{t('live.behind', { seconds: number(behindMs(known) / 1000, 1) })}</span>
  return (
    <span class="push num">
      <Icon name="warning" /> {t(pulse === 'stale' ? 'live.stale' : 'live.silent', { ago: ago(now.value - known.at) })}
    </span>
  )
}

interface SweepProps {
  readonly ecgId: string
  readonly leads: readonly string[]
  readonly lead: (typeof LEADS)[number]
}

/** Canvas that draws by itself. */
function SweepCanvas({ ecgId, leads, lead }: SweepProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const renderer = useRef<TileRenderer | undefined>(undefined)
  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    renderer.current ??= renderTile(element, coloursOf(element))
    const resize = () => {
      const { width, height } = element.getBoundingClientRect()
      renderer.current?.size(
        Math.round(width * devicePixelRatio),
        Math.round(height * devicePixelRatio),
        coloursOf(element),
      )
    }
    const observer = new ResizeObserver(resize)
    observer.observe(element)
    resize()
    return () => observer.disconnect()
  }, [theme.value])
  useEffect(() => {
    const observer = new IntersectionObserver(([newest]) => renderer.current?.see(newest?.isIntersecting ?? true))
    if (canvas.current !== null) observer.observe(canvas.current)
    return () => {
      observer.disconnect()
      renderer.current?.close()
    }
  }, [])
  useEffect(() => {
    const ended = new AbortController()
    shared(ecgId, leads, ended.signal).then(
      (recording) => {
        const trace = recording.traces.get(lead)
        if (trace !== undefined) renderer.current?.show({ samples: trace.samples, rateHz: recording.rateHz })
      },
      () => {},
    )
    return () => ended.abort()
  }, [ecgId, lead])
  return <canvas ref={canvas} />
}

/** Twelve canvases share one window; it is fetched once. */
const fetched = new Map<string, ReturnType<typeof fetchWindow>>()

function shared(ecgId: string, leads: readonly string[], ended: AbortSignal) {
  const key = `${ecgId} ${leads.join()}`
  const known = fetched.get(key) ?? fetchWindow(ecgId, leads, ended)
  fetched.set(key, known)
  known.catch(() => fetched.delete(key))
  // Older windows have been drawn and are not needed again.
  for (const old of [...fetched.keys()].slice(0, -MOST_TILES)) fetched.delete(old)
  return known
}

async function fetchWindow(ecgId: string, leads: readonly string[], ended: AbortSignal) {
  const piece = await windowOf(ecgId, leads, ended)
  const recording = newRecording(piece)
  add(recording, piece)
  return recording
}

interface SingleProps {
  readonly device: string
  readonly known: LiveDevice | undefined
  readonly now: Signal<number>
}

function Single({ device, known, now }: SingleProps) {
  const screen = useRef<HTMLElement>(null)
  return (
    <main class="live single" id="main" ref={screen}>
      <div class="ecg-head">
        <a class="back" href="#/live" aria-label={t('nav.live')}>
          <Icon name="back" />
        </a>
        <h1>{device}</h1>
        {known !== undefined && (
          <>
            <Rate bpm={known.newest.heartRateBpm} />
            {CONDITION_IDS.filter((id) => known.newest.flagged.includes(id)).map((id) => (
              <span key={id} class="chip flagged">
                {word('condition', id)}
              </span>
            ))}
            <Age known={known} pulse={pulseOf(known, now.value)} now={now} />
            <a class="button" href={href({ view: 'ecg', id: known.newest.ecgId })}>
              {t('live.open')}
            </a>
          </>
        )}
        <button
          type="button"
          class="quiet"
          aria-label={t('live.full')}
          title={t('live.full')}
          onClick={() => void screen.current?.requestFullscreen()}
        >
          <Icon name="full" />
        </button>
      </div>
      {known === undefined ? (
        <State
          icon={isListed.value ? 'empty' : 'loading'}
          title={isListed.value ? t('live.unknown') : t('state.loading')}
        />
      ) : (
        <div class={`leads ${pulseOf(known, now.value)}`}>
          {LEADS.map((lead) => (
            <figure key={lead}>
              <figcaption>{lead}</figcaption>
              <SweepCanvas ecgId={known.newest.ecgId} leads={LEADS} lead={lead} />
            </figure>
          ))}
        </div>
      )}
    </main>
  )
}
