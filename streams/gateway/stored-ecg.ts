/**
 * An ECG in the gateway's store.
 * @module
 */
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import type { SourceInstance } from '../dicom/structured-report.ts'
import type { OrderNumbers, Visit } from '../hl7/visit.ts'

export type Door = 'mqtt' | 'hl7' | 'dicom' | 'folder'

export type Envelope = Omit<IntakeMessage, 'waveform'>

/** Numbers that are returned with the result: of an order and of a stay. Never sent to the cloud. */
export interface About {
  readonly order: OrderNumbers
  readonly visit: Visit
  /** Name of the file that contained it. */
  readonly file?: string
  /** The cloud flags it differently; the shown result has a warning. */
  readonly differs?: boolean
  /** The DICOM instance that contained it; a structured report joins its study. */
  readonly source?: SourceInstance
}

export interface NewEcg {
  readonly door: Door
  readonly envelope: Envelope
  readonly packed: Uint8Array
  /** Hash of a whole recording: the same samples through another door are the same ECG. */
  readonly waveformSha256?: string | undefined
  readonly about: About
}

export interface StoredEcg {
  readonly id: number
  readonly door: Door
  readonly envelope: Envelope
  readonly packed: Uint8Array
  readonly about: About
  readonly receivedAtMs: number
  /** JSON, after screening. */
  readonly result: string | undefined
}

export interface Added {
  readonly id: number
  /** Id of the ECG that arrived first with the same samples. */
  readonly ecgId: EcgId
  readonly isNew: boolean
}

export interface Delivery {
  readonly id: number
  readonly ecg: number
}

export interface Erased {
  readonly ecgs: number
  /** Names of the files that contained them. */
  readonly files: readonly string[]
}

export interface StoreCounts {
  readonly ecgs: number
  readonly toScreen: number
  readonly toForward: number
  readonly oldestToForwardMs: number | undefined
  readonly deliveries: readonly { readonly peer: string; readonly state: 'waiting' | 'dead'; readonly count: number }[]
}

/** A result as it is shown to people. The result in the journal and at peers stays unchanged. */
export function shownResult(json: string, { differs }: Pick<About, 'differs'>): string {
  if (differs !== true) return json
  const result = parseResult(json)
  return JSON.stringify({ ...result, warnings: [...result.warnings, { code: 'screens-differ' }] } satisfies Result)
}

/** Parses a stored result. */
export const resultIn = (ecg: StoredEcg): Result | undefined =>
  ecg.result === undefined ? undefined : parseResult(ecg.result)
