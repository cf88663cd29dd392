/**
 * View of one ECG: the paper, and the result beside it.
 * @module
 */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useMemo, useRef } from 'preact/hooks'
import type { Result } from '../../../shared/domain/result.ts'
import { may } from '../auth/session.ts'
import { Cines } from '../cines/cines.tsx'
import { t, word } from '../i18n/index.ts'
import { ResultPanel } from '../result/result-panel.tsx'
import { moment, number } from '../ui/format.ts'
import { Failure, Icon, State, Time } from '../ui/parts.tsx'
import { Banner } from './banner.tsx'
import { CardDialog } from './card-dialog.tsx'
import { DeleteButton } from './delete-button.tsx'
import { type Shades, useAttribution } from './explain.ts'
import { inWords } from './in-words.ts'
import { PAGE_S, type Segment } from './layout.ts'
import { Legend } from './legend.tsx'
import { type Opened, openEcg } from './load.ts'
import type { Caliper } from './measure.ts'
import { useModelInput } from './model-input.ts'
import { Overview } from './overview.tsx'
import type { Note, View } from './paper.ts'
import { downloadSvg, PrintSheet } from './print.tsx'
import { type Recording, secondsOf } from './recording.ts'
import { preferences } from './state.ts'
import { Strip } from './strip.tsx'
import type { Subject } from './subject.ts'
import { Toolbar } from './toolbar.tsx'

/** Longest stretch on one page, s. */
const LONGEST_S = 600

export function EcgView({ id, beside }: { readonly id: string; readonly beside?: string | undefined }) {
  const opened = useOpened(id)
  const { state, result, error } = opened
  // The paper does not wait for the result.
  if (state.value === 'loading' && opened.recording.value === undefined)
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
        <h1>
          {result?.span.startedAt == null ? (
            <>
              {t('ecg.title')} {result !== undefined && <small>{t('ecg.timeUnknown')}</small>}
            </>
          ) : (
            <Time iso={result.span.startedAt} />
          )}
        </h1>
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
  const isModel = useSignal(false)
  const model = useModelInput(id, isModel.value)
  const attribution = useAttribution(id)
  const { layout, isCabrera, speed, gain } = preferences.value
  const canZoom = layout === '12x1' || layout === '6x2'
  const shown = canZoom ? seconds.value : PAGE_S
  const samples = isModel.value ? model.recording.value : recording.value
  const view = useMemo<View>(() => {
    const page = { layout, isCabrera, gain, mmPerS: (speed * PAGE_S) / shown, from: from.value, seconds: shown }
    return isModel.value ? modelView(page, speed) : page
  }, [layout, isCabrera, gain, speed, from.value, shown, isModel.value])
  const found = result.value
  const noteOf = useNotes(samples, found)
  const earlier = useEarlier(beside)
  const sheet = useSheet({ samples: isModel.value ? undefined : samples, found, view, noteOf })
  // The same functions each time, so that panning does not render the toolbar.
  const latest = useRef(sheet)
  latest.current = sheet
  const onCalibrate = useCallback(() => (isCard.value = true), [])
  const onSvg = useCallback(() => latest.current && downloadSvg(latest.current, id), [id])
  const shades = useShades(attribution.shades.value, isModel.value)
  const isSide = useSignal(false)

  useKeys({
    c: () => {
      if (isModel.value) return
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
        shades={shades}
        caliper={caliper}
        isMeasuring={isMeasuring.value && !isModel.value}
        isMarching={isMarching.value}
        rrMs={rrMs}
        onDrawn={() => (isDrawn.value = true)}
        onPan={(to) => (from.value = to)}
        {...(canZoom && !isModel.value
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

  // Memoized, so that panning does not render it again.
  const subject = opened.subject.value
  const isDrawn = useSignal(false)
  const isLate = useLate(found !== undefined)
  const mayShow = isDrawn.value || withoutSamples.value || isLate
  const isNarrow = useNarrow()
  const cines = useMemo(() => found?.status === 'screened' && <Cines key={id} ecgId={id} result={found} />, [id, found])
  const panel = useMemo(
    () =>
      found &&
      mayShow && (
        <ResultPanel result={found} subject={subject}>
          {isNarrow && cines}
        </ResultPanel>
      ),
    [found, subject, mayShow, isNarrow, cines],
  )

  return (
    <div class="ecg-body">
      <section class="ecg-paper" aria-label={t('ecg.paper')}>
        <Toolbar
          isMeasuring={isMeasuring}
          isMarching={isMarching}
          caliper={caliper}
          seconds={canZoom && !isModel.value ? seconds : undefined}
          length={samples === undefined ? PAGE_S : secondsOf(samples)}
          id={id}
          subject={opened.subject.value}
          beside={beside}
          isSide={isSide}
          isModel={isModel}
          attribution={found?.status === 'screened' ? attribution : undefined}
          onCalibrate={onCalibrate}
          onSvg={onSvg}
          canPrint={sheet !== undefined}
        />
        {samples === undefined ? (
          isModel.value && model.error.value !== undefined ? (
            <Failure error={model.error.value} onRetry={() => (isModel.value = false)} />
          ) : withoutSamples.value ? (
            <State icon="empty" title={t('ecg.noSamples')} text={t('ecg.noSamplesHint')} />
          ) : (
            <div class="paper-place">
              <State icon="loading" title={t('state.loading')} />
            </div>
          )
        ) : (
          <>
            {strip(samples, inWords(samples, found), isSide.value || isModel.value ? undefined : earlier.value)}
            {isSide.value && !isModel.value && earlier.value !== undefined && (
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
            <Legend view={view} recording={samples} speed={speed} attribution={attribution} />
          </>
        )}
        {!isNarrow && cines}
      </section>
      <aside class="ecg-result" aria-label={t('result.title')}>
        {panel || <State icon="loading" title={state.value === 'pending' ? t('ecg.pending') : t('state.loading')} />}
      </aside>
      <CardDialog open={isCard} />
      {sheet !== undefined && <PrintSheet sheet={sheet} />}
    </div>
  )
}

/** As in ecg.css: the result is below the paper. There, findings come before the drawn heart. */
const NARROW = matchMedia('(max-width: 1180px)')

function useNarrow(): boolean {
  const isNarrow = useSignal(NARROW.matches)
  useEffect(() => {
    const change = () => (isNarrow.value = NARROW.matches)
    NARROW.addEventListener('change', change)
    return () => NARROW.removeEventListener('change', change)
  }, [])
  return isNarrow.value
}

/** How long a result waits for the paper, ms: its panel is large, and would keep the page from drawing the ECG. */
const PAPER_FIRST_MS = 400

/** Becomes true a while after the condition. */
function useLate(hasBegun: boolean): boolean {
  const isLate = useSignal(false)
  useEffect(() => {
    if (!hasBegun) return
    const timer = setTimeout(() => {
      isLate.value = true
    }, PAPER_FIRST_MS)
    return () => clearTimeout(timer)
  }, [hasBegun])
  return isLate.value
}

function useNotes(recording: Recording | undefined, result: Result | undefined) {
  return useCallback(
    ({ lead }: Segment): Note | undefined => {
      const verdict = result?.quality.leads[lead]
      const trace = recording?.traces.get(lead)
      const isSilent = recording !== undefined && recording.loaded > 0 && recording.silent.has(lead)
      if (trace === undefined || isSilent) return { text: word('lead', 'missing'), isDrawn: false }
      if (trace.isDerived) return { text: word('lead', 'derived'), isDrawn: true }
      if (verdict !== undefined && verdict !== 'acceptable' && verdict !== 'missing') {
        return { text: `${t('lead.refused')}: ${word('reason', verdict)}`, isDrawn: true }
      }
      return undefined
    },
    // The words change with the language.
    [recording, result, t('lead.refused')],
  )
}

/** The ten-second window of the network. Each lead is scaled to its own range, so the gain has no meaning. */
const modelView = (page: View, speed: number): View => ({
  ...page,
  isModel: true,
  gain: page.layout === '12x1' ? 5 : 10,
  mmPerS: speed,
  from: 0,
  seconds: PAGE_S,
})

/** Shades relative to the view: the model's window starts at its own second 0. */
function useShades(shades: Shades | undefined, isModel: boolean): Shades | undefined {
  return useMemo(() => shades && { ...shades, fromS: isModel ? 0 : shades.fromS }, [shades, isModel])
}

/** Loads the samples of an earlier ECG, for display beside this one. */
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
        `${t('notice.short')} ${t('notice.long')}`,
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
