/**
 * Deterministic ids of ECGs: the same window always has the same id, however often and by whichever path it arrives.
 * @module
 */
import { v5 as uuidv5 } from 'uuid'

export type EcgId = string & { readonly __brand: 'EcgId' }

/** Namespace of this project's ids: UUIDv5 of `cardiacnets.edge` in the DNS namespace of RFC 9562. */
const NAMESPACE = uuidv5('cardiacnets.edge', uuidv5.DNS)

/** Id of a window of a live stream. The fields are joined as JSON, so no combination of names can collide. */
export function streamEcgId(of: {
  readonly tenant: string
  readonly source: string
  readonly device: string
  readonly session: string
  readonly firstSample: number
}): EcgId {
  return brand(uuidv5(JSON.stringify([of.tenant, of.source, of.device, of.session, of.firstSample]), NAMESPACE))
}

/** Id of a file, from its content. */
export function fileEcgId(of: { readonly tenant: string; readonly sha256: string }): EcgId {
  return brand(uuidv5(JSON.stringify([of.tenant, of.sha256]), NAMESPACE))
}

/** Id of the summary of a live session for one patient. */
export function sessionSummaryId(of: {
  readonly tenant: string
  readonly device: string
  readonly session: string
  readonly patient: string
}): string {
  return uuidv5(JSON.stringify(['session-summary', of.tenant, of.device, of.session, of.patient]), NAMESPACE)
}

export type CmrJobId = string & { readonly __brand: 'CmrJobId' }

/**
 * Id of one drawing of an ECG. The same request again gives the same job. Version 1 is not in the id, because jobs from before there were
 * versions have none.
 */
export function cmrJobId(of: {
  readonly ecgId: EcgId
  readonly version: number
  readonly bundleSha256: string
  readonly seed: number
  readonly sampler: string
}): CmrJobId {
  const parts = ['cmr', of.ecgId, of.bundleSha256, of.seed, of.sampler, ...(of.version === 1 ? [] : [of.version])]
  // The only place where an id of our own gets this brand.
  return uuidv5(JSON.stringify(parts), NAMESPACE) as CmrJobId
}

/** Parses a job id from outside; `undefined` when it is not valid. */
export function parseCmrJobId(text: string): CmrJobId | undefined {
  return parseEcgId(text) as CmrJobId | undefined // same form as an ECG id
}

/** Parses an ECG id from outside; `undefined` when it is not a UUIDv5 in canonical form. */
export function parseEcgId(text: string): EcgId | undefined {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(text) ? brand(text) : undefined
}

// The brand exists only at compile time. This is the only place that grants it.
const brand = (uuid: string) => uuid as EcgId
