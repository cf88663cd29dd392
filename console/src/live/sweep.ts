/**
 * Monitor sweep: the newest window is drawn from left to right in real time over the previous one, with an erasing gap between them. Runs
 * in a worker if the browser supports it, otherwise on the page.
 * @module
 */
import { drawTrace } from '../ecg/decimate.ts'

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

export interface SweepWindow {
  /** mV; NaN where a sample is missing. */
  readonly samples: Float32Array
  readonly rateHz: number
}

export interface SweepColours {
  readonly paper: string
  readonly trace: string
  readonly faint: string
}

/** Length of a window, seconds. */
const SWEEP_S = 10
const GAP_S = 0.35
/** Length of old trace that is redrawn to hide the seam, s. */
const OVERLAP_S = 0.05

/** Voltage range of a tile, mV. */
const HEIGHT_MV = 3.2
/** Default position of 0 mV from the top, as a fraction of the height. */
const BASELINE = 0.62

const places = new WeakMap<Float32Array, { readonly low: number; readonly high: number }>()

/** Fits a trace into the tile: the baseline moves first; if that is not enough, the scale is reduced. */
function placeOf(samples: Float32Array, height: number): { readonly y: number; readonly pxPerMv: number } {
  let range = places.get(samples)
  if (range === undefined) {
    let [low, high] = [0, 0]
    for (const sample of samples) {
      if (sample < low) low = sample
      else if (sample > high) high = sample
    }
    range = { low, high }
    places.set(samples, range)
  }
  const pxPerMv = height / Math.max(HEIGHT_MV, 1.06 * (range.high - range.low))
  const [top, bottom] = [range.high * pxPerMv + 0.03 * height, 0.97 * height + range.low * pxPerMv]
  return { y: Math.max(top, Math.min(bottom, BASELINE * height)), pxPerMv }
}

export class Sweep {
  readonly #canvas: HTMLCanvasElement | OffscreenCanvas
  readonly #context: Context
  #colours: SweepColours
  #older: SweepWindow | undefined
  #newest: SweepWindow | undefined
  /** Start of drawing the newest window, and the position in it, s. */
  #began = 0
  #head = 0
  #isSeen = true

  constructor(canvas: HTMLCanvasElement | OffscreenCanvas, colours: SweepColours) {
    this.#canvas = canvas
    this.#context = canvas.getContext('2d') as Context
    this.#colours = colours
  }

  /** Starts a new window; the previous one stays until the sweep covers it. */
  show(window: SweepWindow, now: number): void {
    this.#older = this.#newest
    this.#newest = window
    this.#began = now
    this.#head = 0
    if (this.#isSeen) this.#draw(0, SWEEP_S, this.#older)
  }

  resize(width: number, height: number, colours: SweepColours): void {
    this.#canvas.width = width
    this.#canvas.height = height
    this.#colours = colours
    this.#drawAll()
  }

  /** Pauses a canvas that is scrolled out of view, because each drawing takes main-thread time. */
  see(isSeen: boolean, now: number): void {
    const isNew = isSeen && !this.#isSeen
    this.#isSeen = isSeen
    if (!isNew) return
    this.#head = Math.min(SWEEP_S, (now - this.#began) / 1000)
    this.#drawAll()
  }

  /** Draws what is due since the last call, from one pixel on. With reduced motion the whole window is drawn at once. */
  advance(now: number, isStill: boolean): void {
    if (!this.#isSeen || this.#newest === undefined || this.#head >= SWEEP_S) return
    const head = isStill ? SWEEP_S : Math.min(SWEEP_S, (now - this.#began) / 1000)
    if (head < SWEEP_S && ((head - this.#head) / SWEEP_S) * this.#canvas.width < 1) return
    this.#draw(Math.max(0, this.#head - OVERLAP_S), head, this.#newest)
    this.#clear(head, Math.min(SWEEP_S, head + GAP_S))
    this.#head = head
  }

  #drawAll(): void {
    this.#draw(0, this.#head, this.#newest)
    this.#draw(this.#head + GAP_S, SWEEP_S, this.#older)
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
    const { y, pxPerMv } = placeOf(samples, height)
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
      y,
      pxPerMv,
    })
    context.stroke()
    context.restore()
  }
}
