/**
 * Identity of a drawing, and the UIDs that follow from it.
 * @module
 */

import { uidOf } from '../../../shared/dicom-uid.ts'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import type { View } from '../../../shared/inference/synthesis-manifest.ts'

/** Everything that the pixels of a drawing depend on. */
export interface Drawing {
  readonly ecgId: EcgId
  /** Version of the ECG. */
  readonly version: number
  readonly seed: number
  readonly sampler: string
  readonly steps: number
  readonly guidance: number
  /** SHA-256 of the bundle's manifest. */
  readonly modelSha256: string
}

/** A drawing is a study of its own, so that no synthetic series is stored among a patient's examinations. */
export const studyUid = (drawing: Drawing) => uid('study', drawing)
export const seriesUid = (drawing: Drawing, view: View) => uid('series', drawing, view)
export const instanceUid = (drawing: Drawing, view: View) => uid('instance', drawing, view)

function uid(level: string, drawing: Drawing, view?: View): string {
  const { ecgId, version, seed, sampler, steps, guidance, modelSha256 } = drawing
  // Drawings from before there were versions have none.
  const corrected = version === 1 ? [] : [version]
  return uidOf([level, ecgId, seed, sampler, steps, guidance, modelSha256, view, ...corrected])
}
