/**
 * Where in the cardiac cycle the cines are: 0 at the R wave, up to 1. The ECG's cursor follows it.
 * @module
 */
import { signal } from '@preact/signals'

export const phase = signal<number | undefined>(undefined)
