/**
 * Virtual list: renders only the visible rows of a long list.
 * @module
 */

import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  type VirtualItem,
  Virtualizer,
} from '@tanstack/virtual-core'
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'

export interface VirtualRows {
  readonly totalPx: number
  readonly scrollTo: (index: number) => void
}

/**
 * @param draw shows these rows. Called after each rendering, and during a scroll without one.
 */
export function useVirtualRows(
  count: number,
  rowPx: number,
  scroller: { current: HTMLElement | null },
  draw: (items: readonly VirtualItem[]) => void,
): VirtualRows {
  const kept = useRef<Virtualizer<HTMLElement, HTMLElement> | undefined>(undefined)
  const drawn = useRef<Partial<Virtualizer<HTMLElement, HTMLElement>['range'] & object>>({})
  const latest = useRef(draw)
  latest.current = draw
  const options = {
    count,
    estimateSize: () => rowPx,
    overscan: 6,
    getScrollElement: () => scroller.current,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: (changed: Virtualizer<HTMLElement, HTMLElement>) => {
      // Also called at the start and end of a scroll, when the rows are the same.
      const { startIndex, endIndex } = changed.range ?? {}
      if (drawn.current.startIndex === startIndex && drawn.current.endIndex === endIndex) return
      drawn.current = changed.range ?? {}
      latest.current(changed.getVirtualItems())
    },
  }
  kept.current ??= new Virtualizer<HTMLElement, HTMLElement>(options)
  const virtualizer = kept.current
  virtualizer.setOptions(options)
  useEffect(() => virtualizer._didMount(), [virtualizer])
  // What was laid out for a wide page does not hold for a narrow one.
  useLayoutEffect(() => virtualizer.measure(), [virtualizer, rowPx])
  useLayoutEffect(() => {
    virtualizer._willUpdate()
    const items = virtualizer.getVirtualItems()
    drawn.current = virtualizer.range ?? {}
    draw(items)
  })
  return {
    totalPx: virtualizer.getTotalSize(),
    scrollTo: (index) => virtualizer.scrollToIndex(index, { align: 'auto' }),
  }
}
