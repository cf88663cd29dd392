/**
 * Monitor sweep: the newest window is drawn from left to right in real time over the previous one, with an erasing gap between them. Runs
 * in a worker if the browser supports it, otherwise on the page.
 * @module
 */
import { drawTrace } from '../ecg/decimate.ts'

export type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D

export interface SweepWindow {
  /** mV; NaN where a sample is missing. */
  readonly samples: Float32Array
  readonly rateHz: number
}

export interface SweepColours {
  readonly trace: string
}

/** Length of a window, seconds. */
export const SWEEP_S = 10
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

/** Part of the canvas, device pixels. */
interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export class Sweep {
  readonly #context: Context
  #box: Box = { x: 0, y: 0, width: 0, height: 0 }
  #colours: SweepColours | undefined
  #older: SweepWindow | undefined
  #newest: SweepWindow | undefined
  /** Start of drawing the newest window, and the position in it, s. */
  #began = 0
  #head = 0
  #isSeen = true
  #strength = 1

  constructor(context: Context) {
    this.#context = context
  }

  /** Starts a new window; the previous one stays until the sweep covers it. */
  show(window: SweepWindow, now: number): void {
    this.#older = this.#newest
    this.#newest = window
    this.#began = now
    this.#head = 0
    if (this.#isSeen) this.#draw(0, SWEEP_S, this.#older)
  }

  place(box: Box, colours: SweepColours): void {
    this.#box = box
    this.#colours = colours
    this.#drawAll()
  }

  /** Pauses a sweep that is scrolled out of view. */
  see(isSeen: boolean, now: number): void {
    const isNew = isSeen && !this.#isSeen
    this.#isSeen = isSeen
    if (!isNew) return
    this.#head = Math.min(SWEEP_S, (now - this.#began) / 1000)
    this.#drawAll()
  }

  /** @param strength of the trace, 0 to 1 */
  fade(strength: number): void {
    if (strength === this.#strength) return
    this.#strength = strength
    this.#drawAll()
  }

  /** Draws what is due since the last call, from one pixel on. With reduced motion the whole window is drawn at once. */
  advance(now: number, isStill: boolean): void {
    if (!this.#isSeen || this.#newest === undefined || this.#head >= SWEEP_S) return
    const head = isStill ? SWEEP_S : Math.min(SWEEP_S, (now - this.#began) / 1000)
    if (head < SWEEP_S && ((head - this.#head) / SWEEP_S) * this.#box.width < 1) return
    this.#draw(Math.max(0, this.#head - OVERLAP_S), head, this.#newest)
    this.#clear(head, Math.min(SWEEP_S, head + GAP_S))
    this.#head = head
  }

  #drawAll(): void {
    this.#draw(0, this.#head, this.#newest)
    this.#draw(this.#head + GAP_S, SWEEP_S, this.#older)
  }

  #clear(from: number, to: number): void {
    const [begin, end] = this.#columns(from, to)
    this.#context.clearRect(this.#box.x + begin, this.#box.y, end - begin, this.#box.height)
  }

  /** Whole pixels, so that no column is cleared in part. */
  #columns(from: number, to: number): readonly [begin: number, end: number] {
    const { width } = this.#box
    return [Math.floor((from / SWEEP_S) * width), Math.min(width, Math.ceil((to / SWEEP_S) * width) + 1)]
  }

  #draw(from: number, to: number, window: SweepWindow | undefined): void {
    if (to <= from || this.#colours === undefined) return
    this.#clear(from, to)
    if (window === undefined) return
    const { x, y: top, width, height } = this.#box
    const { samples, rateHz } = window
    const { y, pxPerMv } = placeOf(samples, height)
    const context = this.#context
    const [left, right] = this.#columns(from, to)
    const perPx = (SWEEP_S * rateHz) / width
    // The line begins and ends outside the columns that were cleared, because it goes from the middle of one column to that of another.
    const begin = Math.max(0, Math.floor((left - 2) * perPx))
    context.save()
    context.beginPath()
    context.rect(x + left, top, right - left, height)
    context.clip()
    context.globalAlpha = this.#strength
    context.strokeStyle = this.#colours.trace
    context.lineWidth = Math.max(1.4, height / 60)
    context.lineJoin = 'round'
    context.beginPath()
    drawTrace(context, {
      samples,
      begin,
      end: Math.min(samples.length, Math.ceil((right + 2) * perPx)),
      x: x + (begin / rateHz / SWEEP_S) * width,
      pxPerSample: width / (SWEEP_S * rateHz),
      y: top + y,
      pxPerMv,
    })
    context.stroke()
    context.restore()
  }
}
