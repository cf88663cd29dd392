/**
 * Messages from the page to the sweep worker.
 * @module
 */
import type { SweepColours, SweepWindow } from './sweep.ts'

export type Order =
  | {
      readonly kind: 'open'
      readonly id: string
      readonly canvas: HTMLCanvasElement | OffscreenCanvas
      readonly colours: SweepColours
    }
  | {
      readonly kind: 'size'
      readonly id: string
      readonly width: number
      readonly height: number
      readonly colours: SweepColours
    }
  | { readonly kind: 'see'; readonly id: string; readonly isSeen: boolean }
  | { readonly kind: 'show'; readonly id: string; readonly window: SweepWindow }
  | { readonly kind: 'close'; readonly id: string }
  | { readonly kind: 'still'; readonly isStill: boolean }
