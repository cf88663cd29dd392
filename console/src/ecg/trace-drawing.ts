/**
 * Executes trace orders. Keeps its own copy of each recording, and draws the latest order once per frame.
 * @module
 */
import { drawTraces } from './paper.ts'
import { put, type Recording, roomFor } from './recording.ts'
import type { Drawing, TraceOrder } from './trace-protocol.ts'

/** @param onDrawn called after each drawing */
export function startTraceDrawing(onDrawn: () => void): (order: TraceOrder) => void {
  const recordings = new Map<number, Recording>()
  let canvas: OffscreenCanvas | undefined
  let wanted: Drawing | undefined
  const draw = () => {
    const drawing = wanted
    wanted = undefined
    const recording = recordings.get(drawing?.recording ?? -1)
    if (canvas === undefined || drawing === undefined || recording === undefined) return
    const { width, height, scale, colours, view, under, notes, shades } = drawing
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height]
    const earlier = recordings.get(under ?? -1)
    const noteOf = ({ lead }: { lead: Parameters<typeof notes.get>[0] }) => notes.get(lead)
    drawTraces(canvas, scale, colours, { recording, view, noteOf, under: earlier, shades })
    onDrawn()
  }
  return (order) => {
    if (order.kind === 'open') canvas = order.canvas
    else if (order.kind === 'recording') recordings.set(order.key, roomFor(order))
    else if (order.kind === 'samples') {
      const recording = recordings.get(order.key)
      for (const [name, samples] of order.samples)
        if (recording !== undefined) put(recording, name, order.firstSample, samples)
    } else {
      // Orders may arrive faster than frames; only the latest is drawn.
      if (wanted === undefined) requestAnimationFrame(draw)
      wanted = order.drawing
    }
  }
}
