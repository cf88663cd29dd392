/**
 * Reads ECGs from the EHR into the intake: a named one, or all that are new since the last poll.
 * @module
 */
import { createHash } from 'node:crypto'
import { CodedError } from '../../shared/errors.ts'
import type { RecordingIntake } from '../../shared/intake/recording-intake.ts'
import type { FhirInboundMessage } from '../../shared/messages.ts'
import type { FhirProgress } from '../../shared/store/fhir-progress.ts'
import { waveformSha256 } from '../../shared/waveform/codec.ts'
import type { FoundEcg } from '../formats/fhir/ecgs.ts'
import { isWithdrawn } from '../formats/fhir/resources.ts'
import { changesSince } from './changes.ts'
import type { EhrClient, FhirResource } from './client.ts'
import { isOurs } from './ours.ts'
import { readEcgs } from './reader.ts'

export interface FhirIntakeOptions {
  readonly tenant: string
  /** The site's name of the EHR's server. */
  readonly server: string
  readonly ehr: EhrClient
  readonly criteria: readonly string[]
  readonly recordings: Pick<RecordingIntake, 'submit'>
  readonly progress: FhirProgress
  readonly enqueue: (messages: readonly FhirInboundMessage[]) => Promise<void>
}

/** Outcome for a resource: the number of its ECGs that were submitted, or the reason why none was. */
export type Taken =
  /** `unread`: why other ECGs of the resource could not be read. */
  | { readonly submitted: number; readonly unread?: readonly CodedError[] }
  | { readonly skipped: 'gone' | 'ours' | 'known' | 'withdrawn' | 'no-ecg' | 'deleted' }

/** A change may become visible later than its timestamp, for example after a long transaction or on another node. */
const OVERLAP_MS = 5 * 60_000

/** How far back the first search goes. */
const FIRST_LOOK_MS = 24 * 3_600_000

export class FhirIntake {
  readonly #options: FhirIntakeOptions

  constructor(options: FhirIntakeOptions) {
    this.#options = options
  }

  /**
   * Submits the ECGs of a resource. A version of a resource is taken once. The same ECG has the same id, whichever resource contains it.
   * @throws CodedError the reason why its only ECG could not be read
   */
  async take(reference: string): Promise<Taken> {
    const { tenant, server, ehr, progress } = this.#options
    const root = await ehr.read(reference).catch((error: unknown) => {
      if (error instanceof CodedError && error.code === 'not-found') return undefined
      throw error
    })
    if (root === undefined) return { skipped: 'gone' }
    if (isOurs(root)) return { skipped: 'ours' }
    if (isWithdrawn(root)) return { skipped: 'withdrawn' }
    const version = versionOf(root)
    if (version !== undefined && (await progress.isTaken(tenant, server, reference, version))) {
      return { skipped: 'known' }
    }
    const { ecgs, errors } = await readEcgs(ehr, root)
    if (ecgs.length === 0 && errors[0] !== undefined) throw errors[0]
    let submitted = 0
    for (const ecg of ecgs) if (await this.#submit(ecg, reference)) submitted++
    // Last, so that a failure before it leads to another attempt; ECGs that were already submitted get the same ids then.
    if (version !== undefined) await progress.setTaken(tenant, server, reference, version)
    const unread = errors.length === 0 ? {} : { unread: errors }
    return submitted > 0 ? { submitted, ...unread } : { skipped: ecgs.length === 0 ? 'no-ecg' : 'deleted' }
  }

  /**
   * Queues resources that changed since the last poll, each version once. One that cannot be read is in the dead-letter queue then.
   * @returns number of queued resources
   * @throws CodedError of the first criteria whose search failed; the other searches were done
   */
  async poll(now: Date): Promise<number> {
    let queued = 0
    const errors: unknown[] = []
    for (const each of this.#options.criteria) {
      try {
        queued += await this.#pollFor(each, now)
      } catch (error) {
        errors.push(error)
      }
    }
    if (errors.length > 0) throw errors[0]
    return queued
  }

  async #pollFor(criteria: string, now: Date): Promise<number> {
    const { tenant, server, ehr, progress, enqueue } = this.#options
    const mark = await progress.mark(tenant, server, criteria)
    const sinceMs = mark === undefined ? now.getTime() - FIRST_LOOK_MS : Date.parse(mark) - OVERLAP_MS
    let queued = 0
    for await (const { changes, safeMark } of changesSince(ehr, criteria, new Date(sinceMs))) {
      for (const { reference, version } of changes) {
        if (version !== undefined) {
          const of = [tenant, server, reference, version] as const
          if ((await progress.isTaken(...of)) || (await progress.isQueued(...of))) continue
        }
        await enqueue([{ schema: 1, tenant, kind: 'resource', reference }])
        if (version !== undefined) await progress.setQueued(tenant, server, reference, version)
        queued++
      }
      // A time in the future would hide all changes until then.
      const isAhead = safeMark !== undefined && Date.parse(safeMark) > now.getTime() + OVERLAP_MS
      const safe = isAhead ? now.toISOString() : safeMark
      if (safe !== undefined && (mark === undefined || Date.parse(safe) > Date.parse(mark))) {
        await progress.setMark(tenant, server, criteria, safe)
      }
    }
    return queued
  }

  async #submit({ source, subject, recording }: FoundEcg, reference: string): Promise<boolean> {
    const { tenant, server, recordings, ehr } = this.#options
    // Depends on the patient and the content, not on the resource: an ECG in both a document and a report is one ECG, and equal ECGs of two
    // patients are two, even in a demo.
    const whose = subject?.replace(`${ehr.baseUrl}/`, '') ?? source ?? reference
    const sha256 = createHash('sha256')
      .update(JSON.stringify([server, whose, waveformSha256(recording)]))
      .digest('hex')
    try {
      await recordings.submit({
        tenant,
        origin: { kind: 'fhir', server, source: source ?? reference },
        recording,
        sha256,
      })
      return true
    } catch (error) {
      // A person deleted it here; its presence in the EHR does not restore it.
      if (error instanceof CodedError && error.code === 'deleted') return false
      throw error
    }
  }
}

/** https://hl7.org/fhir/R4/resource.html#Meta. A server without versions has at least a time, which `changesSince` also uses. */
function versionOf({ meta }: FhirResource): string | undefined {
  if (typeof meta !== 'object' || meta === null) return undefined
  if ('versionId' in meta && typeof meta.versionId === 'string') return meta.versionId
  return 'lastUpdated' in meta && typeof meta.lastUpdated === 'string' ? meta.lastUpdated : undefined
}
