/**
 * One ECG: its paper, and beside it what was found.
 * @module
 */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks'
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { api, wanted } from '../api/client.ts'
import { may } from '../auth/session.ts'
import { Cines } from '../cines/cines.tsx'
import { t, word } from '../i18n/index.ts'
import { ResultPanel } from '../result/result-panel.tsx'
import { go } from '../router.ts'
import { moment, number } from '../ui/format.ts'
import { Failure, Icon, State, Time } from '../ui/parts.tsx'
import { forget } from '../worklist/list.ts'
import { Banner, type Subject } from './banner.tsx'
import { CardDialog } from './card-dialog.tsx'
import { PAGE_S, type Segment } from './layout.ts'
import { type Opened, openEcg } from './load.ts'
import type { Caliper } from './measure.ts'
import { Overview } from './overview.tsx'
import type { Note, View } from './paper.ts'
import { downloadSvg, PrintSheet } from './print.tsx'
import { type Recording, secondsOf } from './recording.ts'
import { preferences } from './state.ts'
import { Strip } from './strip.tsx'
import { Toolbar } from './toolbar.tsx'

/** The longest stretch that a page shows from afar. */
const LONGEST_S = 600

export function EcgView({ id, beside }: { readonly id: string; readonly beside?: string | undefined }) {
  const opened = useOpened(id)
  const { state, result, error } = opened
  if (state.value === 'loading')
    return (
      <Frame>
        <State icon="loading" title={t('state.loading')} />
      </Frame>
    )
  if (state.value === 'failed')
    return (
      <Frame>
        <Failure error={error.value!} onRetry={() => location.reload()} />
      </Frame>
    )
  if (state.value === 'deleted') {
    return (
      <Frame>
        <State icon="deleted" title={t('ecg.deleted')} text={t('ecg.deletedHint')}>
          <a class="button" href="#/">
            {t('nav.worklist')}
          </a>
        </State>
      </Frame>
    )
  }
  return (
    <Frame result={result.value} subject={opened.subject.value}>
      <Body key={id} id={id} opened={opened} beside={beside} />
    </Frame>
  )
}

function useOpened(id: string): Opened {
  const opened = useMemo(() => openEcg(id), [id])
  useEffect(() => () => opened.close(), [opened])
  return opened
}

interface FrameProps {
  readonly result?: Result | undefined
  readonly subject?: Subject | undefined
  readonly children: ComponentChildren
}

function Frame({ result, subject, children }: FrameProps) {
  return (
    <main class="ecg" id="main">
      <div class="ecg-head">
        <a class="back" href="#/" aria-label={t('nav.worklist')}>
          <Icon name="back" />
        </a>
        <h1>{result?.span.startedAt == null ? t('ecg.title') : <Time iso={result.span.startedAt} />}</h1>
        {result !== undefined && <Banner subject={subject} />}
        {result !== undefined && may('ecg:write') && <DeleteButton id={result.ecgId} />}
      </div>
      {children}
    </main>
  )
}

interface BodyProps {
  readonly id: string
  readonly opened: Opened
  readonly beside: string | undefined
}

function Body({ id, opened, beside }: BodyProps) {
  const { result, recording, pieces, withoutSamples, state } = opened
  const from = useSignal(0)
  const seconds = useSignal(PAGE_S)
  const caliper = useSignal<Caliper | undefined>(undefined)
  const [isMeasuring, isMarching, isCard] = [useSignal(false), useSignal(false), useSignal(false)]
  const { layout, isCabrera, speed, gain } = preferences.value
  const canZoom = layout === '12x1' || layout === '6x2'
  const shown = canZoom ? seconds.value : PAGE_S
  const view = useMemo<View>(
    () => ({ layout, isCabrera, gain, mmPerS: (speed * PAGE_S) / shown, from: from.value, seconds: shown }),
    [layout, isCabrera, gain, speed, from.value, shown],
  )
  const samples = recording.value
  const found = result.value
  const noteOf = useNotes(samples, found)
  const earlier = useEarlier(beside)
  const sheet = useSheet({ samples, found, view, noteOf })
  const isSide = useSignal(false)

  useKeys({
    c: () => {
      isMeasuring.value = !isMeasuring.value
      if (!isMeasuring.value) caliper.value = undefined
    },
    m: () => (isMarching.value = !isMarching.value),
    Escape: () => {
      caliper.value = undefined
      isMeasuring.value = false
    },
    p: () => print(),
  })

  const rrMs = found?.measurements?.rrMs ?? rrOf(found?.quality.heartRateBpm)
  const strip = (of: Recording, label: string, under?: Recording) => (
    <div class="strip">
      <Strip
        recording={of}
        pieces={pieces.value}
        view={view}
        noteOf={noteOf}
        under={under}
        caliper={caliper}
        isMeasuring={isMeasuring.value}
        isMarching={isMarching.value}
        rrMs={rrMs}
        onPan={(to) => (from.value = to)}
        {...(canZoom
          ? {
              onZoom: (factor: number, at: number) => {
                const next = Math.min(
                  LONGEST_S,
                  Math.max(PAGE_S, secondsOf(of)),
                  Math.max(PAGE_S, seconds.value / factor),
                )
                from.value = Math.max(
                  0,
                  Math.min(secondsOf(of) - next, at - ((at - from.value) * next) / seconds.value),
                )
                seconds.value = next
              },
            }
          : {})}
        label={label}
      />
    </div>
  )

  return (
    <div class="ecg-body">
      <section class="ecg-paper" aria-label={t('ecg.paper')}>
        <Toolbar
          isMeasuring={isMeasuring}
          isMarching={isMarching}
          caliper={caliper}
          seconds={canZoom ? seconds : undefined}
          length={samples === undefined ? PAGE_S : secondsOf(samples)}
          id={id}
          device={opened.subject.value?.device}
          beside={beside}
          isSide={isSide}
          onCalibrate={() => (isCard.value = true)}
          onSvg={sheet === undefined ? undefined : () => downloadSvg(sheet, id)}
        />
        {samples === undefined ? (
          withoutSamples.value ? (
            <State icon="empty" title={t('ecg.noSamples')} text={t('ecg.noSamplesHint')} />
          ) : (
            <div class="paper-place">
              <State icon="loading" title={t('state.loading')} />
            </div>
          )
        ) : (
          <>
            {strip(samples, describe(samples, found), isSide.value ? undefined : earlier.value)}
            {isSide.value && earlier.value !== undefined && (
              <>
                <h2 class="strip-title">{t('ecg.earlier')}</h2>
                {strip(earlier.value, t('ecg.earlier'))}
              </>
            )}
            {secondsOf(samples) > view.seconds + 0.5 && (
              <Overview
                recording={samples}
                pieces={pieces.value}
                view={view}
                span={found?.span}
                onPan={(to) => (from.value = to)}
              />
            )}
            <Legend view={view} recording={samples} speed={speed} />
          </>
        )}
        {found?.status === 'screened' && <Cines key={id} ecgId={id} result={found} />}
      </section>
      <aside class="ecg-result" aria-label={t('result.title')}>
        {found === undefined ? (
          <State icon="loading" title={state.value === 'pending' ? t('ecg.pending') : t('state.loading')} />
        ) : (
          <ResultPanel result={found} device={opened.subject.value?.device} />
        )}
      </aside>
      <CardDialog open={isCard} />
      {sheet !== undefined && <PrintSheet sheet={sheet} />}
    </div>
  )
}

/** What is printed below the paper, so that nobody has to guess. */
function Legend({
  view,
  recording,
  speed,
}: {
  readonly view: View
  readonly recording: Recording
  readonly speed: number
}) {
  const isTrue = Math.abs(view.mmPerS - speed) < 0.01
  return (
    <p class="legend">
      <span class={isTrue ? '' : 'stressed'}>
        {number(view.mmPerS, isTrue ? 0 : 1)} mm/s{!isTrue && ` (${t('ecg.notToScale')})`}
      </span>
      <span>{view.gain} mm/mV</span>
      <span>{number(recording.rateHz)} Hz</span>
      <span>{t('ecg.unfiltered')}</span>
      <span class="num">
        {number(view.from, 2)}–{number(view.from + view.seconds, 2)} s {t('ecg.of')} {number(secondsOf(recording), 1)} s
      </span>
      {recording.loaded < recording.length && <span>{t('state.loading')}</span>}
    </p>
  )
}

function useNotes(recording: Recording | undefined, result: Result | undefined) {
  return useCallback(
    ({ lead }: Segment): Note | undefined => {
      const verdict = result?.quality.leads[lead]
      const trace = recording?.traces.get(lead)
      if (trace === undefined) return { text: word('lead', 'missing'), isDrawn: false }
      if (trace.isDerived) return { text: word('lead', 'derived'), isDrawn: true }
      if (verdict !== undefined && verdict !== 'acceptable' && verdict !== 'missing') {
        return { text: `${t('lead.refused')}: ${word('reason', verdict)}`, isDrawn: true }
      }
      return undefined
    },
    // Words change with the language.
    [recording, result, t('lead.refused')],
  )
}

/** An earlier ECG's samples, when one is to be seen beside this one. */
function useEarlier(id: string | undefined) {
  const recording = useSignal<Recording | undefined>(undefined)
  useEffect(() => {
    recording.value = undefined
    if (id === undefined) return
    const earlier = openEcg(id)
    const stop = earlier.recording.subscribe((value) => {
      recording.value = value
    })
    return () => {
      stop()
      earlier.close()
    }
  }, [id])
  return recording
}

interface SheetParts {
  readonly samples: Recording | undefined
  readonly found: Result | undefined
  readonly view: View
  readonly noteOf: (segment: Segment) => Note | undefined
}

function useSheet({ samples, found, view, noteOf }: SheetParts) {
  return useMemo(() => {
    if (samples === undefined || found === undefined) return undefined
    const when = found.span.startedAt === null ? t('ecg.timeUnknown') : moment(found.span.startedAt)
    const rate = found.quality.heartRateBpm
    return {
      recording: samples,
      view,
      noteOf,
      heading: [`CardiacNets · ${when}`, `ECG ${found.ecgId}${rate === null ? '' : ` · ${number(rate)} bpm`}`],
      footing: [
        `${number(view.mmPerS, 0)} mm/s · ${view.gain} mm/mV · ${number(samples.rateHz)} Hz · ${t('ecg.unfiltered')}`,
        found.notice,
      ],
    }
  }, [samples, found, view, noteOf, samples?.loaded])
}

function useKeys(keys: Readonly<Record<string, () => unknown>>) {
  const kept = useRef(keys)
  kept.current = keys
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return
      kept.current[event.key]?.()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [])
}

const rrOf = (bpm: number | null | undefined) => (bpm == null ? undefined : 60_000 / bpm)

/** The ECG in words, for who does not see it. */
function describe(recording: Recording, result: Result | undefined): string {
  const leads = [...recording.traces.keys()] as LeadName[]
  const rate = result?.quality.heartRateBpm
  return t('ecg.inWords', {
    count: leads.length,
    seconds: number(secondsOf(recording), 1),
    rate: rate == null ? t('ecg.rateUnknown') : `${number(rate)} bpm`,
  })
}

function DeleteButton({ id }: { readonly id: string }) {
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
