/**
 * A monitor's sweep: the newest window is drawn from left to right at the pace of time, over the one before it, with a gap between that erases.
 * Runs in a worker where the browser can, else on the page.
 * @module
 */
import { drawTrace } from '../ecg/decimate.ts'

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

export interface SweepWindow {
  /** mV; NaN where there is none. */
  readonly samples: Float32Array
  readonly rateHz: number
}

export interface SweepColours {
  readonly paper: string
  readonly trace: string
  readonly faint: string
}

/** What a window covers, seconds. */
const SWEEP_S = 10
const GAP_S = 0.35
/** What is drawn of old trace again, so that no seam shows. */
const OVERLAP_S = 0.05

export class Sweep {
  readonly #canvas: HTMLCanvasElement | OffscreenCanvas
  readonly #context: Context
  #colours: SweepColours
  #older: SweepWindow | undefined
  #newest: SweepWindow | undefined
  /** When the newest began to be drawn, and how far it is. */
  #began = 0
  #head = 0

  constructor(canvas: HTMLCanvasElement | OffscreenCanvas, colours: SweepColours) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d') as Context
    this.#colours = colours
  }

  /** A window arrives; the one before it stays until it is swept over. */
  show(window: SweepWindow, now: number): void {
    this.#older = this.#newest
    this.#newest = window
    this.#began = now
    this.#head = 0
    this.#draw(0, SWEEP_S, this.#older)
  }

  resize(width: number, height: number, colours: SweepColours): void {
    this.#canvas.width = width
    this.#canvas.height = height
    this.#colours = colours
    this.#draw(0, this.#head, this.#newest)
    this.#draw(this.#head + GAP_S, SWEEP_S, this.#older)
  }

  /** Draws what has become due since the last call. Without motion, the whole window stands at once. */
  advance(now: number, isStill: boolean): void {
    if (this.#newest === undefined || this.#head >= SWEEP_S) return
    const head = isStill ? SWEEP_S : Math.min(SWEEP_S, (now - this.#began) / 1000)
    this.#draw(Math.max(0, this.#head - OVERLAP_S), head, this.#newest)
    this.#clear(head, Math.min(SWEEP_S, head + GAP_S))
    this.#head = head
  }

  #clear(from: number, to: number): void {
    const { width, height } = this.#canvas
    this.#context.fillStyle = this.#colours.paper
    this.#context.fillRect((from / SWEEP_S) * width, 0, ((to - from) / SWEEP_S) * width + 1, height)
  }

  #draw(from: number, to: number, window: SweepWindow | undefined): void {
    if (to <= from) return
    this.#clear(from, to)
    if (window === undefined) return
    const { width, height } = this.#canvas
    const { samples, rateHz } = window
    const context = this.#context
    const begin = Math.max(0, Math.floor(from * rateHz) - 1)
    context.save()
    context.beginPath()
    context.rect((from / SWEEP_S) * width, 0, ((to - from) / SWEEP_S) * width + 1, height)
    context.clip()
    context.strokeStyle = this.#colours.trace
    context.lineWidth = Math.max(1.4, height / 60)
    context.lineJoin = 'round'
    context.beginPath()
    drawTrace(context, {
      samples,
      begin,
      end: Math.min(samples.length, Math.ceil(to * rateHz) + 1),
      x: (begin / rateHz / SWEEP_S) * width,
      pxPerSample: width / (SWEEP_S * rateHz),
      y: height * 0.62,
      // Three millivolts a tile.
      pxPerMv: height / 3.2,
    })
    context.stroke()
    context.restore()
  }
}
