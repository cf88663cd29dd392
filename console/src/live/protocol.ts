/**
 * Messages from the page to the worker that draws sweeps. A wall is one canvas with a cell for each trace: a canvas of its own for each
 * would cost the page's main thread some work whenever one of them changes.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { SweepColours } from './sweep.ts'

/** Position of a trace on the canvas, device pixels. */
export interface Cell {
  readonly id: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export type Order =
  | { readonly kind: 'open'; readonly wall: string; readonly canvas: HTMLCanvasElement | OffscreenCanvas }
  | {
      /** Size of the canvas, and all of its cells. */
      readonly kind: 'place'
      readonly wall: string
      readonly width: number
      readonly height: number
      readonly colours: SweepColours
      readonly cells: readonly Cell[]
    }
  | { readonly kind: 'see'; readonly wall: string; readonly id: string; readonly isSeen: boolean }
  | {
      /** Strength of a trace: 1, or less for an old one. */
      readonly kind: 'fade'
      readonly wall: string
      readonly id: string
      readonly strength: number
    }
  | {
      readonly kind: 'show'
      readonly wall: string
      /** The lead of each cell that shows this window. */
      readonly leads: Readonly<Record<string, LeadName>>
      /** The waveform as the API sent it. The worker reads it, so that the page does not have to. */
      readonly body: ArrayBuffer
    }
  | { readonly kind: 'close'; readonly wall: string }
  | { readonly kind: 'still'; readonly isStill: boolean }
