/**
 * Executes sweep orders. Advances all sweeps of a page together, once per frame.
 * @module
 */
import type { Order } from './protocol.ts'
import { Sweep } from './sweep.ts'

export function startDrawing(): (order: Order) => void {
  const sweeps = new Map<string, Sweep>()
  let isStill = false
  const tick = () => {
    const now = performance.now()
    for (const sweep of sweeps.values()) sweep.advance(now, isStill)
    requestAnimationFrame(tick)
  }
  requestAnimationFrame(tick)
  return (order) => {
    if (order.kind === 'open') sweeps.set(order.id, new Sweep(order.canvas, order.colours))
    else if (order.kind === 'size') sweeps.get(order.id)?.resize(order.width, order.height, order.colours)
    else if (order.kind === 'see') sweeps.get(order.id)?.see(order.isSeen, performance.now())
    else if (order.kind === 'show') sweeps.get(order.id)?.show(order.window, performance.now())
    else if (order.kind === 'close') sweeps.delete(order.id)
    else isStill = order.isStill
  }
}
