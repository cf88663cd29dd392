/**
 * The deterministic name of an ECG: the same window has the same id however often and by whatever path it comes.
 * @module
 */
import { v5 as uuidv5 } from 'uuid'

export type EcgId = string & { readonly __brand: 'EcgId' }

/** Namespace of this project's ids: UUIDv5 of `cardiacnets.edge` in the DNS namespace of RFC 9562. */
const NAMESPACE = uuidv5('cardiacnets.edge', uuidv5.DNS)

/** Id of a window of a live stream. Fields are joined as JSON, so that no choice of names can collide. */
export function streamEcgId(of: {
  readonly tenant: string
  readonly source: string
  readonly device: string
  readonly session: string
  readonly firstSample: number
}): EcgId {
  return brand(uuidv5(JSON.stringify([of.tenant, of.source, of.device, of.session, of.firstSample]), NAMESPACE))
}

/** Id of a file, by its content. */
export function fileEcgId(of: { readonly tenant: string; readonly sha256: string }): EcgId {
  return brand(uuidv5(JSON.stringify([of.tenant, of.sha256]), NAMESPACE))
}

/** Name of what a live session says of one patient. */
export function sessionSummaryId(of: {
  readonly tenant: string
  readonly device: string
  readonly session: string
  readonly patient: string
}): string {
  return uuidv5(JSON.stringify(['session-summary', of.tenant, of.device, of.session, of.patient]), NAMESPACE)
}

export type CmrJobId = string & { readonly __brand: 'CmrJobId' }

/** Name of one drawing of an ECG: the same request again means the same job. */
export function cmrJobId(of: {
  readonly ecgId: EcgId
  readonly bundleSha256: string
  readonly seed: number
  readonly sampler: string
}): CmrJobId {
  // The one place that grants the brand to an id of our own making.
  return uuidv5(JSON.stringify(['cmr', of.ecgId, of.bundleSha256, of.seed, of.sampler]), NAMESPACE) as CmrJobId
}

/** A job's id from outside, or `undefined` when it is none. */
export function parseCmrJobId(text: string): CmrJobId | undefined {
  return parseEcgId(text) as CmrJobId | undefined // of the same form
}

/** An id from outside, or `undefined` when it is no UUIDv5 in canonical form. */
export function parseEcgId(text: string): EcgId | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text) ? brand(text) : undefined
}

// The brand has no run-time part: this is the one place that grants it.
const brand = (uuid: string) => uuid as EcgId
