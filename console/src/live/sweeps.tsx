/**
 * Several sweeps on one canvas, which lies over the elements that leave room for them.
 * @module
 */
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks'
import type { LeadName } from '../../../shared/domain/leads.ts'
import { coloursOf } from '../ecg/paper.ts'
import { theme } from '../ui/theme.ts'
import { windowOf } from './devices.ts'
import { WallRenderer } from './wall-renderer.ts'

interface SweepsProps {
  readonly class: string
  /** Changes with the set of cells. */
  readonly cells: string
  /** Contains an element with `data-sweep`, the cell's name, for each cell. */
  readonly children: (renderer: WallRenderer) => ComponentChildren
}

export function Sweeps({ class: name, cells, children }: SweepsProps) {
  const renderer = useMemo(() => new WallRenderer(), [])
  const [wall, canvas] = [useRef<HTMLDivElement>(null), useRef<HTMLCanvasElement>(null)]
  useLayoutEffect(() => {
    if (canvas.current !== null) renderer.open(canvas.current)
    return () => renderer.close()
  }, [])
  useLayoutEffect(() => {
    const element = wall.current
    if (element === null) return
    const rooms = [...element.querySelectorAll<HTMLElement>('[data-sweep]')]
    const observer = new ResizeObserver(() => place(renderer, element, rooms))
    observer.observe(element)
    place(renderer, element, rooms)
    const views = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        renderer.see((target as HTMLElement).dataset.sweep ?? '', isIntersecting) // one of the rooms
      }
    })
    for (const room of rooms) views.observe(room)
    return () => {
      observer.disconnect()
      views.disconnect()
    }
  }, [cells, theme.value])
  return (
    <div ref={wall} class={`sweeps ${name}`} data-cells={cells === '' ? 0 : cells.split('\n').length}>
      {children(renderer)}
      <canvas ref={canvas} />
    </div>
  )
}

function place(renderer: WallRenderer, wall: HTMLElement, rooms: readonly HTMLElement[]): void {
  const all = wall.getBoundingClientRect()
  const px = (css: number) => Math.round(css * devicePixelRatio)
  const cells = rooms.map((room) => {
    const { left, top, right, bottom } = room.getBoundingClientRect()
    const [x, y] = [px(left - all.left), px(top - all.top)]
    return { id: room.dataset.sweep ?? '', x, y, width: px(right - all.left) - x, height: px(bottom - all.top) - y }
  })
  renderer.place(px(all.width), px(all.height), coloursOf(wall), cells)
}

/** Shows the window of an ECG in cells: the lead of each. */
export function useWindow(renderer: WallRenderer, ecgId: string, leads: Readonly<Record<string, LeadName>>): void {
  useEffect(() => {
    const ended = new AbortController()
    windowOf(ecgId, [...new Set(Object.values(leads))], ended.signal).then(
      (body) => renderer.show(leads, body),
      () => {},
    )
    return () => ended.abort()
  }, [renderer, ecgId, leads])
}
