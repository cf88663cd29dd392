/**
 * Executes sweep orders. Advances all sweeps of a wall together.
 * @module
 */
import type { Schemas } from '../../../streams/client/index.ts'
import { add, newRecording } from '../ecg/recording.ts'
import type { Order } from './protocol.ts'
import { type Context, SWEEP_S, Sweep } from './sweep.ts'

interface Wall {
  readonly canvas: HTMLCanvasElement | OffscreenCanvas
  readonly context: Context
  readonly sweeps: Map<string, Sweep>
  /** Time in which the widest sweep advances by a pixel, ms, and when it last did. */
  stepMs: number
  advancedAt: number
}

export function startDrawing(): (order: Order) => void {
  const walls = new Map<string, Wall>()
  let isStill = false
  const tick = () => {
    const now = performance.now()
    for (const wall of walls.values()) {
      if (now - wall.advancedAt < wall.stepMs) continue
      wall.advancedAt = now
      for (const sweep of wall.sweeps.values()) sweep.advance(now, isStill)
    }
    requestAnimationFrame(tick)
  }
  requestAnimationFrame(tick)
  return (order) => {
    if (order.kind === 'still') {
      isStill = order.isStill
      return
    }
    if (order.kind === 'open') {
      const { canvas } = order
      const context = canvas.getContext('2d') as Context
      walls.set(order.wall, { canvas, context, sweeps: new Map(), stepMs: 0, advancedAt: 0 })
      return
    }
    const wall = walls.get(order.wall)
    if (wall === undefined) return
    if (order.kind === 'place') place(wall, order)
    else if (order.kind === 'see') sweepOf(wall, order.id).see(order.isSeen, performance.now())
    else if (order.kind === 'fade') sweepOf(wall, order.id).fade(order.strength)
    else if (order.kind === 'show') show(wall, order)
    else walls.delete(order.wall)
  }
}

function sweepOf({ sweeps, context }: Wall, id: string): Sweep {
  const sweep = sweeps.get(id) ?? new Sweep(context)
  sweeps.set(id, sweep)
  return sweep
}

function place(wall: Wall, { width, height, colours, cells }: Extract<Order, { kind: 'place' }>): void {
  wall.canvas.width = width
  wall.canvas.height = height
  wall.stepMs = (1000 * SWEEP_S) / Math.max(1, ...cells.map((cell) => cell.width))
  const placed = new Set(cells.map(({ id }) => id))
  for (const id of wall.sweeps.keys()) if (!placed.has(id)) wall.sweeps.delete(id)
  for (const { id, ...box } of cells) sweepOf(wall, id).place(box, colours)
}

function show(wall: Wall, { leads, body }: Extract<Order, { kind: 'show' }>): void {
  const piece = JSON.parse(new TextDecoder().decode(body)) as Schemas['Waveform'] // of our own API
  const recording = newRecording(piece)
  add(recording, piece)
  for (const [id, lead] of Object.entries(leads)) {
    const samples = recording.traces.get(lead)?.samples
    if (samples !== undefined) sweepOf(wall, id).show({ samples, rateHz: recording.rateHz }, performance.now())
  }
}
