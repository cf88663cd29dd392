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
import { useEffect, useReducer, useRef } from 'preact/hooks'

export interface VirtualRows {
  readonly items: readonly VirtualItem[]
  readonly totalPx: number
  readonly scrollTo: (index: number) => void
}

export function useVirtualRows(count: number, rowPx: number, scroller: { current: HTMLElement | null }): VirtualRows {
  const [, redraw] = useReducer((n: number) => n + 1, 0)
  const kept = useRef<Virtualizer<HTMLElement, HTMLElement> | undefined>(undefined)
  const drawn = useRef<Partial<Virtualizer<HTMLElement, HTMLElement>['range'] & object>>({})
  const options = {
    count,
    estimateSize: () => rowPx,
    overscan: 6,
    getScrollElement: () => scroller.current,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: ({ range }: Virtualizer<HTMLElement, HTMLElement>) => {
      // Also called at the start and end of a scroll, when the rows are the same.
      const { startIndex, endIndex } = range ?? {}
      if (drawn.current.startIndex === startIndex && drawn.current.endIndex === endIndex) return
      redraw(undefined as never)
    },
  }
  kept.current ??= new Virtualizer<HTMLElement, HTMLElement>(options)
  const virtualizer = kept.current
  virtualizer.setOptions(options)
  const items = virtualizer.getVirtualItems()
  drawn.current = virtualizer.range ?? {}
  useEffect(() => virtualizer._didMount(), [virtualizer])
  // What was laid out for a wide page does not hold for a narrow one.
  useEffect(() => virtualizer.measure(), [virtualizer, rowPx])
  useEffect(() => virtualizer._willUpdate())
  return {
    items,
    totalPx: virtualizer.getTotalSize(),
    scrollTo: (index) => virtualizer.scrollToIndex(index, { align: 'auto' }),
  }
}
