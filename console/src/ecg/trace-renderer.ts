/**
 * Page side of trace drawing: transfers the canvas to a worker, or draws on the page without OffscreenCanvas.
 * @module
 */
import { drawTraces } from './paper.ts'
import type { Recording } from './recording.ts'
import type { Drawing, TraceOrder } from './trace-protocol.ts'

export interface Painting extends Omit<Drawing, 'recording' | 'under'> {
  readonly recording: Recording
  readonly under: Recording | undefined
}

export interface TraceRenderer {
  draw(painting: Painting): void
  close(): void
}

const canHandOver =
  typeof OffscreenCanvas !== 'undefined' && 'transferControlToOffscreen' in HTMLCanvasElement.prototype

/**
 * Takes over a canvas permanently.
 * @param onDrawn called after the first drawing
 */
export function renderTraces(canvas: HTMLCanvasElement, onDrawn: () => void): TraceRenderer {
  const note = () => {
    // For tests: `performance.getEntriesByName('ecg-drawn')`.
    performance.mark('ecg-drawn')
    onDrawn()
  }
  return canHandOver ? inWorker(canvas, note) : onPage(canvas, note)
}

const startWorker = () => new Worker(new URL('./trace-worker.ts', import.meta.url), { type: 'module' })

let ready: Worker | undefined

/** Starts the worker while the samples are loading. */
export function prepareRenderer(): void {
  if (canHandOver) ready ??= startWorker()
}

function inWorker(canvas: HTMLCanvasElement, noteDrawn: () => void): TraceRenderer {
  const worker = ready ?? startWorker()
  ready = undefined
  const send = (order: TraceOrder, transfer: Transferable[] = []) => worker.postMessage(order, transfer)
  worker.addEventListener('message', noteDrawn, { once: true })
  const offscreen = canvas.transferControlToOffscreen()
  send({ kind: 'open', canvas: offscreen }, [offscreen])
  /** What was sent to the worker about each recording: its key, and samples per lead. */
  const told = new Map<Recording, { readonly key: number; samples: number }>()

  /** Sends what was loaded since the last call. */
  function keyOf(recording: Recording): number {
    const { rateHz, length, traces, loaded } = recording
    let known = told.get(recording)
    if (known === undefined) {
      known = { key: told.size, samples: 0 }
      told.set(recording, known)
      const leads = [...traces.values()].map(({ name, isDerived }) => ({ name, isDerived }))
      send({ kind: 'recording', key: known.key, rateHz, length, traces: leads })
    }
    const firstSample = known.samples
    if (loaded > firstSample) {
      const samples = [...traces.values()].map(
        ({ name, samples: all }) => [name, all.slice(firstSample, loaded)] as const,
      )
      send(
        { kind: 'samples', key: known.key, firstSample, samples },
        samples.map(([, piece]) => piece.buffer),
      )
      known.samples = loaded
    }
    return known.key
  }

  return {
    draw: ({ recording, under, ...rest }) => {
      const keys = { recording: keyOf(recording), under: under && keyOf(under) }
      send({ kind: 'draw', drawing: { ...rest, ...keys } })
    },
    close: () => worker.terminate(),
  }
}

function onPage(canvas: HTMLCanvasElement, noteDrawn: () => void): TraceRenderer {
  let isFirst = true
  return {
    draw: ({ width, height, scale, colours, notes, ...rest }) => {
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height]
      drawTraces(canvas, scale, colours, { ...rest, noteOf: ({ lead }) => notes.get(lead) })
      if (isFirst) noteDrawn()
      isFirst = false
    },
    close: () => {},
  }
}
