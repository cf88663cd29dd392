/**
 * Live view: a wall of all sending devices with their newest windows, or one device with all twelve leads.
 * @module
 */
import { type Signal, useComputed, useSignal } from '@preact/signals'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { CONDITION_IDS } from '../../../shared/domain/conditions.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import { t, word } from '../i18n/index.ts'
import { href } from '../router.ts'
import { ago, number } from '../ui/format.ts'
import { Icon, State } from '../ui/parts.tsx'
import {
  behindMs,
  devices,
  isListed,
  type LiveDevice,
  MOST_TILES,
  type Pulse,
  pulseOf,
  watchDevices,
} from './devices.ts'
import { Sweeps, useWindow } from './sweeps.tsx'
import type { WallRenderer } from './wall-renderer.ts'

/** How strongly a trace is drawn. */
const STRENGTH: Readonly<Record<Pulse, number>> = { live: 1, stale: 0.45, silent: 0.15 }

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
  if (device !== undefined) return <Single device={device} known={devices.value.get(device)} now={now} />
  return <Wall now={now} />
}

function Wall({ now }: { readonly now: Signal<number> }) {
  const key = useComputed(() => shownDevices().join('\n'))
  const shown = key.value === '' ? [] : key.value.split('\n')
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
          <Sum shown={shown.length} now={now} />
          <Sweeps class="wall" cells={key.value}>
            {(renderer) =>
              shown.map((device) => (
                <Tile key={device} known={devices.value.get(device)!} now={now} renderer={renderer} />
              ))
            }
          </Sweeps>
        </>
      )}
    </main>
  )
}

/** Names of the devices with a tile, in order. If there are too many, the ones that have been silent longest are hidden. */
function shownDevices(): readonly string[] {
  const all = [...devices.value]
  const newest =
    all.length <= MOST_TILES ? all : all.toSorted(([, a], [, b]) => b.value.at - a.value.at).slice(0, MOST_TILES)
  return newest.map(([device]) => device).toSorted(names.compare)
}

function Sum({ shown, now }: { readonly shown: number; readonly now: Signal<number> }) {
  const live = useComputed(
    () => [...devices.value.values()].filter((each) => pulseOf(each.value, now.value) === 'live').length,
  )
  const count = devices.value.size
  return (
    <p class="live-sum">
      {t('live.sum', { live: live.value, count })}
      {count > shown && ` ${t('live.more', { count: count - shown })}`}
    </p>
  )
}

interface TileProps {
  readonly known: Signal<LiveDevice>
  readonly now: Signal<number>
  readonly renderer: WallRenderer
}

function Tile({ known, now, renderer }: TileProps) {
  const pulse = useComputed(() => pulseOf(known.value, now.value)).value
  const { device, newest } = known.value
  const leads = useMemo(() => ({ [device]: 'II' }) as const, [device])
  useWindow(renderer, newest.ecgId, leads)
  useEffect(() => renderer.fade(device, STRENGTH[pulse]), [pulse])
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
      <span class="sweep" data-sweep={device} />
      <footer>
        <span>II</span>
        <Age known={known.value} pulse={pulse} now={now} />
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

interface AgeProps {
  readonly known: LiveDevice
  readonly pulse: Pulse
  readonly now: Signal<number>
}

/** Delay of the picture, or time since the last window. */
function Age({ known, pulse, now }: AgeProps) {
  if (pulse === 'live')
    return <span class="push num">{t('live.behind', { seconds: number(behindMs(known) / 1000, 1) })}</span>
  return (
    <span class="push num">
      <Icon name="warning" /> {t(pulse === 'stale' ? 'live.stale' : 'live.silent', { ago: ago(now.value - known.at) })}
    </span>
  )
}

interface LeadsProps {
  readonly known: LiveDevice
  readonly pulse: Pulse
  readonly renderer: WallRenderer
}

function Leads({ known, pulse, renderer }: LeadsProps) {
  useWindow(renderer, known.newest.ecgId, OWN_LEADS)
  useEffect(() => {
    for (const lead of LEADS) renderer.fade(lead, STRENGTH[pulse])
  }, [pulse])
  return (
    <>
      {LEADS.map((lead) => (
        <figure key={lead}>
          <figcaption>{lead}</figcaption>
          <span class="sweep" data-sweep={lead} />
        </figure>
      ))}
    </>
  )
}

/** Each lead in the cell of its name. */
const OWN_LEADS = Object.fromEntries(LEADS.map((lead) => [lead, lead]))

interface SingleProps {
  readonly device: string
  readonly known: Signal<LiveDevice> | undefined
  readonly now: Signal<number>
}

function Single({ device, known: of, now }: SingleProps) {
  const screen = useRef<HTMLElement>(null)
  const known = of?.value
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
        <Sweeps class="leads" cells={LEADS.join('\n')}>
          {(renderer) => <Leads known={known} pulse={pulseOf(known, now.value)} renderer={renderer} />}
        </Sweeps>
      )}
    </main>
  )
}
