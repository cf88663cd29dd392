/**
 * Overview of the whole recording, with the position of the page and of the screened window.
 * @module
 */
import { useLayoutEffect, useRef } from 'preact/hooks'
import type { ScreenedSpan } from '../../../shared/domain/result.ts'
import { t } from '../i18n/index.ts'
import { theme } from '../ui/theme.ts'
import { drawTrace } from './decimate.ts'
import { coloursOf, type View } from './paper.ts'
import { type Recording, secondsOf } from './recording.ts'

interface OverviewProps {
  readonly recording: Recording
  readonly pieces: number
  readonly view: View
  readonly span: ScreenedSpan | undefined
  readonly onPan: (from: number) => void
}

const [WIDTH, HEIGHT] = [1600, 72]

export function Overview({ recording, pieces, view, span, onPan }: OverviewProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const length = secondsOf(recording)
  useLayoutEffect(() => {
    const element = canvas.current
    const trace = recording.traces.get('II') ?? [...recording.traces.values()][0]
    if (element === null || trace === undefined) return
    const context = element.getContext('2d')!
    context.clearRect(0, 0, WIDTH, HEIGHT)
    context.strokeStyle = coloursOf(element).trace
    context.lineWidth = 1
    context.beginPath()
    const { samples, pyramid } = trace
    drawTrace(context, {
      samples,
      pyramid,
      begin: 0,
      end: samples.length,
      x: 0,
      pxPerSample: WIDTH / samples.length,
      y: HEIGHT * 0.6,
      pxPerMv: 20,
    })
    context.stroke()
  }, [recording, pieces, theme.value])
  const share = (seconds: number) => `${(100 * seconds) / length}%`
  const screened = span === undefined ? undefined : span.firstSample / recording.rateHz
  const jump = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect() // the bar that has the handler
    onPan(
      Math.max(
        0,
        Math.min(length - view.seconds, ((event.clientX - box.left) / box.width) * length - view.seconds / 2),
      ),
    )
  }
  return (
    <div
      class="overview"
      role="slider"
      aria-label={t('ecg.overview')}
      aria-valuemin={0}
      aria-valuemax={Math.round(length)}
      aria-valuenow={Math.round(view.from)}
      aria-valuetext={`${Math.round(view.from)} s`}
      tabIndex={0}
      onKeyDown={(event) => {
        const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0
        if (step !== 0) onPan(Math.max(0, Math.min(length - view.seconds, view.from + step * view.seconds)))
      }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId)
        jump(event)
      }}
      onPointerMove={(event) => event.buttons === 1 && jump(event)}
    >
      <canvas ref={canvas} width={WIDTH} height={HEIGHT} />
      {screened !== undefined && screened < length && (
        <span
          class="screened"
          style={{ left: share(screened), width: share((span?.durationMs ?? 0) / 1000) }}
          title={t('ecg.screenedPiece')}
        />
      )}
      <span class="window" style={{ left: share(view.from), width: share(view.seconds) }} />
    </div>
  )
}
