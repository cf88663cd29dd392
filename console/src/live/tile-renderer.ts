/**
 * Page side of sweep drawing: transfers canvases to the worker, or draws on the page without OffscreenCanvas.
 * @module
 */
import { startDrawing } from './drawing.ts'
import type { Order } from './protocol.ts'
import type { SweepColours, SweepWindow } from './sweep.ts'

type Send = (order: Order) => void

const canHandOver =
  typeof OffscreenCanvas !== 'undefined' && 'transferControlToOffscreen' in HTMLCanvasElement.prototype

let send: Send | undefined

function sender(): Send {
  if (send !== undefined) return send
  if (canHandOver) {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    send = (order) => {
      const isHandedOver = order.kind === 'open' && order.canvas instanceof OffscreenCanvas
      worker.postMessage(order, isHandedOver ? [order.canvas] : [])
    }
  } else send = startDrawing()
  const motion = matchMedia('(prefers-reduced-motion: reduce)')
  const tell = () => send?.({ kind: 'still', isStill: motion.matches })
  motion.addEventListener('change', tell)
  tell()
  return send
}

export interface TileRenderer {
  size(width: number, height: number, colours: SweepColours): void
  /** Whether the canvas is in view. */
  see(isSeen: boolean): void
  show(window: SweepWindow): void
  close(): void
}

let next = 0

/** Takes over a canvas permanently. */
export function renderTile(canvas: HTMLCanvasElement, colours: SweepColours): TileRenderer {
  const id = `sweep-${next++}`
  const order = sender()
  order({ kind: 'open', id, canvas: canHandOver ? canvas.transferControlToOffscreen() : canvas, colours })
  return {
    size: (width, height, now) => order({ kind: 'size', id, width, height, colours: now }),
    see: (isSeen) => order({ kind: 'see', id, isSeen }),
    show: (window) => order({ kind: 'show', id, window }),
    close: () => order({ kind: 'close', id }),
  }
}
