/**
 * Time that a window occupies a function, and what it writes.
 * @module
 */

import { busyMs, writeUnitsOf } from './marginal.ts'
import type { Measured } from './measured.ts'

/** Memory in the template, MB. A test compares them. */
export const MEMORY_MB = { preprocess: 1024, screen: 1769 } as const

/** Service times of a single window, s. */
export function serviceSeconds({ screen }: Measured): { readonly preprocess: number; readonly screen: number } {
  return {
    preprocess: busyMs('preprocess', MEMORY_MB.preprocess, screen.prepareMs) / 1000,
    screen: busyMs('screen', MEMORY_MB.screen, screen.inferenceMs) / 1000,
  }
}

export const writeUnits = ({ message }: Measured): number => writeUnitsOf(message.resultStoredP50Bytes)
