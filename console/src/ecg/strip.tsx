/**
 * The paper on the screen: grid and traces on canvases with calipers above, operated by pointer, wheel and keys.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { LeadName } from '../../../shared/domain/leads.ts'
import { t } from '../i18n/index.ts'
import { theme } from '../ui/theme.ts'
import { pxPerMm } from './calibration.ts'
import { CaliperLayer } from './caliper-layer.tsx'
import type { Shades } from './explain.ts'
import { baselineMm, rowMmOf, rowsOf, type Segment, segmentsOf, timeMm } from './layout.ts'
import { type Caliper, snap } from './measure.ts'
import { type Colours, coloursOf, drawGrid, type Note, type View, viewSize } from './paper.ts'
import { PhaseCursor } from './phase-cursor.tsx'
import { type Recording, secondsOf } from './recording.ts'
import { renderTraces, type TraceRenderer } from './trace-renderer.ts'

export interface StripProps {
  readonly recording: Recording
  /** Number of pieces of samples so far. */
  readonly pieces: number
  readonly view: View
  readonly noteOf: (segment: Segment) => Note | undefined
  readonly under?: Recording | undefined
  readonly shades?: Shades | undefined
  readonly caliper: Signal<Caliper | undefined>
  readonly isMeasuring: boolean
  readonly isMarching: boolean
  readonly rrMs: number | undefined
  readonly onPan: (from: number) => void
  readonly onZoom?: (factor: number, at: number) => void
  /** The traces are seen for the first time. */
  readonly onDrawn: () => void
  readonly label: string
}

export function Strip(props: StripProps) {
  const {
    recording,
    pieces,
    view,
    noteOf,
    under,
    shades,
    caliper,
    isMeasuring,
    isMarching,
    rrMs,
    onPan,
    onZoom,
    onDrawn,
    label,
  } = props
  const [grid, traces] = [useRef<HTMLCanvasElement>(null), useRef<HTMLCanvasElement>(null)]
  const { widthMm, heightMm } = viewSize(view)
  const css = pxPerMm.value
  const ratio = useRatio()
  const scale = css * ratio
  const [width, height] = [Math.ceil(widthMm * scale), Math.ceil(heightMm * scale)]
  const style = { width: `${width / ratio}px`, height: `${height / ratio}px` }

  // Read once, because reading a style in a drag makes the browser compute all of them first.
  const colours = useRef<Colours | undefined>(undefined)
  useLayoutEffect(() => {
    colours.current = grid.current === null ? undefined : coloursOf(grid.current)
  }, [theme.value])
  useLayoutEffect(() => {
    const canvas = grid.current
    if (canvas !== null && colours.current !== undefined) drawGrid(canvas, scale, colours.current, view.isModel)
  }, [width, height, scale, theme.value, view.isModel])
  const renderer = useRef<TraceRenderer | undefined>(undefined)
  useLayoutEffect(() => {
    const canvas = traces.current
    if (canvas === null || colours.current === undefined) return
    renderer.current ??= renderTraces(canvas, onDrawn)
    const notes = notesOf(view, noteOf)
    renderer.current.draw({
      width,
      height,
      scale,
      colours: colours.current,
      view,
      recording,
      under,
      notes,
      shades,
    })
  }, [width, height, scale, theme.value, recording, pieces, view, noteOf, under, shades])
  useEffect(() => () => renderer.current?.close(), [])

  const longest = Math.max(0, secondsOf(recording) - view.seconds)
  const pan = (from: number) => onPan(snap(Math.min(longest, Math.max(0, from)), recording.rateHz))
  const drag = useRef<{ x: number; from: number } | undefined>(undefined)
  const at = (event: PointerEvent) => place(event, css, view, recording)

  return (
    <div
      class={`paper ${isMeasuring ? 'measuring' : longest > 0 ? 'movable' : ''}`}
      role="application"
      aria-roledescription={t('ecg.paper')}
      aria-label={label}
      data-loaded={Math.round(recording.loaded / recording.rateHz)}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application, moved by keys
      tabIndex={0}
      style={style}
      onPointerDown={(event) => {
        if (event.button !== 0) return
        event.currentTarget.setPointerCapture(event.pointerId)
        if (!isMeasuring) drag.current = { x: event.clientX, from: view.from }
        else {
          const { s, mv, row } = at(event)
          caliper.value = { from: { s, mv }, to: { s, mv }, row }
          drag.current = { x: event.clientX, from: view.from }
        }
      }}
      onPointerMove={(event) => {
        const start = drag.current
        if (start === undefined) return
        if (!isMeasuring) return pan(start.from - (event.clientX - start.x) / (css * view.mmPerS))
        const { s, mv } = at(event)
        const current = caliper.peek()
        // The row is the one that the caliper started in.
        const row = current?.row ?? 0
        const level = mv + (current === undefined ? 0 : rowShift(event, css, view, row))
        if (current !== undefined) caliper.value = { ...current, to: { s, mv: level } }
      }}
      onPointerUp={() => {
        drag.current = undefined
      }}
      onWheel={(event) => {
        const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY)
        if (isSideways && longest > 0) {
          event.preventDefault()
          pan(view.from + event.deltaX / (css * view.mmPerS))
        } else if ((event.ctrlKey || event.metaKey) && onZoom !== undefined) {
          event.preventDefault()
          const x = event.clientX - event.currentTarget.getBoundingClientRect().left
          onZoom(Math.exp(-event.deltaY / 300), view.from + (x / css - timeMm(0, view.mmPerS)) / view.mmPerS)
        }
      }}
      onKeyDown={(event) => {
        const side = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
        if (side === 0) return
        event.preventDefault()
        const current = caliper.peek()
        if (isMeasuring && current !== undefined) {
          const to = snap(current.to.s + (side * (event.shiftKey ? 10 : 1)) / recording.rateHz, recording.rateHz)
          caliper.value = { ...current, to: { ...current.to, s: to } }
        } else pan(view.from + side * (event.shiftKey ? view.seconds : 1))
      }}
    >
      <canvas ref={grid} width={width} height={height} style={style} />
      <canvas ref={traces} style={style} />
      <PhaseCursor recording={recording} view={view} css={css} rrMs={rrMs} pieces={pieces} />
      <CaliperLayer caliper={caliper} view={view} css={css} rrMs={rrMs} isMarching={isMarching} />
    </div>
  )
}

/** Time and voltage under the pointer, in the nearest row. */
function place(event: PointerEvent, css: number, view: View, { rateHz }: Recording) {
  const box = (event.currentTarget as Element).getBoundingClientRect() // the paper that has the handlers
  const [x, y] = [(event.clientX - box.left) / css, (event.clientY - box.top) / css]
  const rows = rowsOf(view.layout)
  const row = Math.min(rows - 1, Math.max(0, Math.floor((y - baselineMm(view.layout, 0)) / rowMmOf(view.layout) + 0.5)))
  const s = snap(view.from + (x - timeMm(0, view.mmPerS)) / view.mmPerS, rateHz)
  return { s, mv: (baselineMm(view.layout, row) - y) / view.gain, row }
}

/** Offset between the row under the pointer and the row that the caliper started in, mV. */
function rowShift(event: PointerEvent, css: number, view: View, row: number): number {
  const here = place(event, css, view, { rateHz: 1 } as Recording).row // only its row is used
  return (baselineMm(view.layout, row) - baselineMm(view.layout, here)) / view.gain
}

/** Device pixels per CSS pixel. It changes when the window moves to another screen or the page is zoomed. */
function useRatio(): number {
  const ratio = useSignal(devicePixelRatio)
  useEffect(() => {
    const query = matchMedia(`(resolution: ${devicePixelRatio}dppx)`)
    const change = () => {
      ratio.value = devicePixelRatio
    }
    query.addEventListener('change', change)
    return () => query.removeEventListener('change', change)
  }, [ratio.value])
  return ratio.value
}

/** Notes of all leads in the view. */
function notesOf(view: View, noteOf: StripProps['noteOf']): ReadonlyMap<LeadName, Note> {
  const notes = new Map<LeadName, Note>()
  for (const segment of segmentsOf(view.layout, view.isCabrera, view.seconds)) {
    const note = noteOf(segment)
    if (note !== undefined) notes.set(segment.lead, note)
  }
  return notes
}
