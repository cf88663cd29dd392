/**
 * Messages from the page to the worker that draws an ECG's traces.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { Shades } from './explain.ts'
import type { Colours, Note, View } from './paper.ts'

/** A drawing of recordings that were sent before. */
export interface Drawing {
  /** Device pixels. */
  readonly width: number
  readonly height: number
  /** Device pixels per millimetre. */
  readonly scale: number
  readonly colours: Colours
  readonly view: View
  readonly recording: number
  /** An earlier ECG behind this one. */
  readonly under: number | undefined
  readonly notes: ReadonlyMap<LeadName, Note>
  readonly shades: Shades | undefined
}

export type TraceOrder =
  | { readonly kind: 'open'; readonly canvas: OffscreenCanvas }
  | {
      readonly kind: 'recording'
      readonly key: number
      readonly rateHz: number
      readonly length: number
      readonly traces: readonly { readonly name: LeadName; readonly isDerived: boolean }[]
    }
  | {
      readonly kind: 'samples'
      readonly key: number
      readonly firstSample: number
      readonly samples: readonly (readonly [LeadName, Float32Array])[]
    }
  | { readonly kind: 'draw'; readonly drawing: Drawing }
