/**
 * What the gateway's store holds of an ECG.
 * @module
 */
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import type { IntakeMessage } from '../../shared/messages.ts'
import type { SourceInstance } from '../dicom/structured-report.ts'
import type { OrderNumbers, Visit } from '../hl7/visit.ts'

export type Door = 'mqtt' | 'hl7' | 'dicom' | 'folder'

export type Envelope = Omit<IntakeMessage, 'waveform'>

/** What goes back with the result: numbers of an order and of a stay. Never leaves for the cloud. */
export interface About {
  readonly order: OrderNumbers
  readonly visit: Visit
  /** Name of the file that it came in. */
  readonly file?: string
  /** The cloud flags it differently: a warning on the result that is shown. */
  readonly differs?: boolean
  /** The DICOM instance that it came in: a structured report joins its study. */
  readonly source?: SourceInstance
}

export interface NewEcg {
  readonly door: Door
  readonly envelope: Envelope
  readonly packed: Uint8Array
  /** Of a whole recording: the same samples by another door are the same ECG. */
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
  /** JSON, once it was screened. */
  readonly result: string | undefined
}

export interface Added {
  readonly id: number
  /** That of the ECG which came first, where the same samples came before. */
  readonly ecgId: EcgId
  readonly isNew: boolean
}

export interface Delivery {
  readonly id: number
  readonly ecg: number
}

export interface Erased {
  readonly ecgs: number
  /** Names of the files that they came in. */
  readonly files: readonly string[]
}

export interface StoreCounts {
  readonly ecgs: number
  readonly toScreen: number
  readonly toForward: number
  readonly oldestToForwardMs: number | undefined
  readonly deliveries: readonly { readonly peer: string; readonly state: 'waiting' | 'dead'; readonly count: number }[]
}

/** A result as people are shown it: what stands in the journal and went to peers stays as it was made. */
export function shownResult(json: string, { differs }: Pick<About, 'differs'>): string {
  if (differs !== true) return json
  const result = parseResult(json)
  return JSON.stringify({ ...result, warnings: [...result.warnings, { code: 'screens-differ' }] } satisfies Result)
}

/** A stored result, read. */
export const resultIn = (ecg: StoredEcg): Result | undefined =>
  ecg.result === undefined ? undefined : parseResult(ecg.result)
