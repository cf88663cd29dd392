/**
 * Phase of the cardiac cycle that the cines show: 0 at the R wave, below 1. The cursor of the ECG follows it.
 * @module
 */
import { signal } from '@preact/signals'

export const phase = signal<number | undefined>(undefined)
