/**
 * Phase of the cardiac cycle that the cines show: 0 at the R wave, below 1. The cursor of the ECG follows it.
 * @module
 */
import { signal } from '@preact/signals'

export const phase = signal<number | undefined>(undefined)

/** When the cycle began that every playing cine shows, as `performance.now()`. Drawings side by side are at the same phase. */
let began = 0

/** Phase at a time, for a cycle of this length. */
export function phaseAt(now: number, cycleMs: number): number {
  const elapsed = (now - began) % cycleMs
  // A picture's time may lie before that of the button that began the cycle.
  return (elapsed < 0 ? elapsed + cycleMs : elapsed) / cycleMs
}

/** Lets every playing cine continue from a phase. */
export function continueFrom(place: number, cycleMs: number): void {
  began = performance.now() - place * cycleMs
}
