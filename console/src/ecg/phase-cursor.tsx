/**
 * Cursor on the paper at the phase of the cardiac cycle that the cines show, in the first complete beat of the page.
 * @module
 */
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { phase } from '../cines/phase.ts'
import { rPeaks } from './beats.ts'
import { timeMm } from './layout.ts'
import type { View } from './paper.ts'
import type { Recording } from './recording.ts'

interface PhaseCursorProps {
  readonly recording: Recording
  readonly view: View
  /** CSS pixels per millimetre. */
  readonly css: number
  readonly rrMs: number | undefined
  /** Number of pieces of samples so far. */
  readonly pieces: number
}

export function PhaseCursor({ recording, view, css, rrMs, pieces }: PhaseCursorProps) {
  const line = useRef<HTMLDivElement>(null)
  const isWanted = phase.value !== undefined
  const beat = useMemo(() => {
    if (!isWanted) return undefined
    const peaks = rPeaks(recording, view.from, view.from + view.seconds, rrMs)
    return peaks.length < 2 ? undefined : ([peaks[0]!, peaks[1]!] as const)
  }, [isWanted, recording, pieces, view.from, view.seconds, rrMs])

  useEffect(() => {
    // Runs at 60 Hz, so it bypasses the framework and moves the element by a transform.
    return phase.subscribe((place) => {
      const element = line.current
      if (element === null || beat === undefined || place === undefined) return
      const [from, to] = beat
      const x = timeMm(from + place * (to - from) - view.from, view.mmPerS) * css
      element.style.transform = `translateX(${x}px)`
    })
  }, [beat, view, css])

  return beat === undefined ? null : <div ref={line} class="phase-cursor" aria-hidden="true" />
}
