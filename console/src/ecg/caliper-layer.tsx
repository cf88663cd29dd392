/**
 * Caliper over the paper: two lines, the measurement between them and, optionally, the distance marched out to both sides.
 * @module
 */
import type { Signal } from '@preact/signals'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { t } from '../i18n/index.ts'
import { number } from '../ui/format.ts'
import { baselineMm, rowMmOf, timeMm } from './layout.ts'
import { type Caliper, marchOut, type Reading, reading } from './measure.ts'
import { type View, viewSize } from './paper.ts'

interface LayerProps {
  readonly caliper: Signal<Caliper | undefined>
  readonly view: View
  /** CSS pixels per millimetre. */
  readonly css: number
  readonly rrMs: number | undefined
  readonly isMarching: boolean
}

export function CaliperLayer({ caliper, view, css, rrMs, isMarching }: LayerProps) {
  const current = caliper.value
  const { widthMm, heightMm } = viewSize(view)
  if (current === undefined) return null
  const x = (s: number) => timeMm(s - view.from, view.mmPerS)
  const base = baselineMm(view.layout, current.row)
  const y = (mv: number) => base - mv * view.gain
  const [x1, x2, y1, y2] = [x(current.from.s), x(current.to.s), y(current.from.mv), y(current.to.mv)]
  const [top, bottom] = [base - rowMmOf(view.layout) / 2, base + rowMmOf(view.layout) / 2]
  const marks = isMarching ? marchOut(current, view.from, view.from + view.seconds) : []
  const values = reading(current, rrMs)
  return (
    <>
      <svg
        class="calipers"
        viewBox={`0 0 ${widthMm} ${heightMm}`}
        width={widthMm * css}
        height={heightMm * css}
        aria-hidden="true"
      >
        {marks.map((s) => (
          <path key={s} class="march" d={`M${x(s)} ${top + 4}V${bottom - 4}`} />
        ))}
        <rect x={Math.min(x1, x2)} y={Math.min(y1, y2)} width={Math.abs(x2 - x1)} height={Math.abs(y2 - y1)} />
        <path d={`M${x1} ${top}V${bottom}M${x2} ${top}V${bottom}M${x1} ${y1}H${x2}M${x1} ${y2}H${x2}`} />
      </svg>
      <ReadingBox
        from={Math.min(x1, x2) * css}
        to={Math.max(x1, x2) * css}
        top={Math.max(0, top) * css}
        values={values}
      />
    </>
  )
}

/** Distance of the reading from the lines, px. */
const GAP_PX = 7

interface ReadingBoxProps {
  /** The caliper's lines, and the top of its row, px on the paper. */
  readonly from: number
  readonly to: number
  readonly top: number
  readonly values: Reading
}

/** Right of the caliper, or left of it where the part of the paper that is seen ends before. */
function ReadingBox({ from, to, top, values }: ReadingBoxProps) {
  const box = useRef<HTMLOutputElement>(null)
  useLayoutEffect(() => {
    const output = box.current!
    const strip = output.closest('.strip')!
    const [first, last] = [strip.scrollLeft, strip.scrollLeft + strip.clientWidth - GAP_PX]
    const width = output.offsetWidth
    const isRight = to + GAP_PX + width <= last
    const left = isRight ? to + GAP_PX : from - GAP_PX - width
    output.style.left = `${left < first ? Math.max(first, last - width) : left}px`
  })
  return (
    <output
      ref={box}
      class="caliper-reading"
      style={{ top: `${top}px` }}
      data-ms={values.ms.toFixed(1)}
      data-mv={values.mv.toFixed(3)}
    >
      <CaliperWords values={values} />
    </output>
  )
}

function CaliperWords({ values }: { readonly values: Reading }) {
  const { ms, mv, bpm, qtcBazett, qtcFridericia } = values
  return (
    <>
      <b>{number(ms)} ms</b>
      <span>{number(mv, 2)} mV</span>
      {bpm !== undefined && <span>{number(bpm)} bpm</span>}
      {qtcBazett !== undefined && (
        <span title={t('ecg.ifQt')}>
          QTc {number(qtcBazett)} B · {number(qtcFridericia ?? 0)} F
        </span>
      )}
    </>
  )
}
