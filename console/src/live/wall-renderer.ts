/**
 * Page side of sweep drawing: transfers the canvas of a wall to the worker, or draws on the page without OffscreenCanvas.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { startDrawing } from './drawing.ts'
import type { Cell, Order } from './protocol.ts'
import type { SweepColours } from './sweep.ts'

type Send = (order: Order) => void

const canHandOver =
  typeof OffscreenCanvas !== 'undefined' && 'transferControlToOffscreen' in HTMLCanvasElement.prototype

let send: Send | undefined

function sender(): Send {
  if (send !== undefined) return send
  if (canHandOver) {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    send = (order) => worker.postMessage(order, transferOf(order))
  } else send = startDrawing()
  const motion = matchMedia('(prefers-reduced-motion: reduce)')
  const tell = () => send?.({ kind: 'still', isStill: motion.matches })
  motion.addEventListener('change', tell)
  tell()
  return send
}

function transferOf(order: Order): Transferable[] {
  if (order.kind === 'open' && order.canvas instanceof OffscreenCanvas) return [order.canvas]
  return order.kind === 'show' ? [order.body] : []
}

let next = 0

export class WallRenderer {
  readonly #wall = `wall-${next++}`
  readonly #order = sender()

  /** Takes over a canvas permanently. */
  open(canvas: HTMLCanvasElement): void {
    this.#order({
      kind: 'open',
      wall: this.#wall,
      canvas: canHandOver ? canvas.transferControlToOffscreen() : canvas,
    })
  }

  place(width: number, height: number, colours: SweepColours, cells: readonly Cell[]): void {
    this.#order({ kind: 'place', wall: this.#wall, width, height, colours, cells })
  }

  /** Whether a cell is in view. */
  see(id: string, isSeen: boolean): void {
    this.#order({ kind: 'see', wall: this.#wall, id, isSeen })
  }

  fade(id: string, strength: number): void {
    this.#order({ kind: 'fade', wall: this.#wall, id, strength })
  }

  /** @param body a waveform as the API sends it; it is handed over */
  show(leads: Readonly<Record<string, LeadName>>, body: ArrayBuffer): void {
    this.#order({ kind: 'show', wall: this.#wall, leads, body })
  }

  close(): void {
    this.#order({ kind: 'close', wall: this.#wall })
  }
}
