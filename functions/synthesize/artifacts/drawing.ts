/**
 * What tells one drawing from another, and the names that follow from it.
 * @module
 */
import { parse as uuidBytes, v5 as uuidv5 } from 'uuid'
import type { EcgId } from '../../../shared/domain/ecg-id.ts'
import type { View } from '../../../shared/inference/synthesis-manifest.ts'

/** Everything that a drawing's pixels depend on. */
export interface Drawing {
  readonly ecgId: EcgId
  readonly seed: number
  readonly sampler: string
  readonly steps: number
  readonly guidance: number
  /** sha256 of the bundle's manifest. */
  readonly modelSha256: string
}

/** Namespace of our DICOM UIDs: UUIDv5 of `dicom.cardiacnets.edge` in the DNS namespace of RFC 9562. */
const NAMESPACE = uuidv5('dicom.cardiacnets.edge', uuidv5.DNS)

export const IMPLEMENTATION_UID = toUid(NAMESPACE)

/** A drawing is a study of its own, so that no synthetic series is ever filed among a patient's examinations. */
export const studyUid = (drawing: Drawing) => uid('study', drawing)
export const seriesUid = (drawing: Drawing, view: View) => uid('series', drawing, view)
export const instanceUid = (drawing: Drawing, view: View) => uid('instance', drawing, view)

function uid(level: string, drawing: Drawing, view?: View): string {
  const { ecgId, seed, sampler, steps, guidance, modelSha256 } = drawing
  return toUid(uuidv5(JSON.stringify([level, ecgId, seed, sampler, steps, guidance, modelSha256, view]), NAMESPACE))
}

/** A UUID as a DICOM UID: 2.25 and its decimal value (PS3.5, B.2). */
function toUid(uuid: string): string {
  return `2.25.${BigInt(`0x${Buffer.from(uuidBytes(uuid)).toString('hex')}`)}`
}
