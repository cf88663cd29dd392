/**
 * Live sessions: each window is recorded. The summary is written when the session has ended (no window for a while), or earlier when a
 * change has lasted. A session that moves from one patient to another has a summary for each.
 *
 * The end is detected by a message that the session sends to itself with a delay in SQS. This needs no timer and no sweep, and a message
 * that is not deleted comes again.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { MAX_DELAY_S } from '../../shared/aws/queues.ts'
import type { SiteConfig } from '../../shared/config/site.ts'
import { parseEcgId, sessionSummaryId } from '../../shared/domain/ecg-id.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import type { SessionCheck } from '../../shared/messages.ts'
import type { AssociationStore } from '../../shared/store/associations.ts'
import type { SessionKey } from '../../shared/store/keys.ts'
import type { ResultStore } from '../../shared/store/results.ts'
import type { EhrClient } from '../../streams/fhir/client.ts'
import { allowed } from '../../streams/fhir/report/screening.ts'
import {
  digestOf,
  lastScreened,
  sampleOf,
  summarise,
  sustainedChanges,
  type WindowDigest,
} from '../../streams/fhir/report/session.ts'
import { writeReport } from '../../streams/fhir/report/write.ts'
import type { Outcome } from './outcome.ts'
import type { Head, SessionStore } from './session-store.ts'

export interface SessionsOptions {
  readonly ehr: EhrClient
  readonly store: SessionStore
  /** Tenants that may report to the EHR. For any other, nothing is recorded or written. */
  readonly tenants: ReadonlySet<string>
  readonly results: Pick<ResultStore, 'latest'>
  readonly associations: Pick<AssociationStore, 'patientsOf' | 'markUnidentified' | 'markReported'>
  readonly rules: SiteConfig['report']
  /** Sends a check to the queue that this function reads. */
  readonly sendCheck: (check: SessionCheck, delayS: number) => Promise<void>
  readonly now: () => Date
  /** Called when a change could not be reported yet. */
  readonly onPutOff: (error: unknown) => void
}

/** Longer than it takes to write a summary. */
const LEASE_MS = 120_000

/** Results that are read at the same time. */
const READERS = 10

export class Sessions {
  readonly #options: SessionsOptions

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Handles the result of a window. */
  async add(of: SessionKey, result: Result): Promise<Outcome> {
    const key = keyOf(of)
    const { store, results, rules, tenants, now } = this.#options
    if (!tenants.has(key.tenant)) return 'foreign'
    const digest = digestOf(result, now(), rules.virtual)
    const noted = await store.addWindow(key, digest, now(), async () => {
      const newest = await results.latest(key.tenant, result.ecgId)
      return newest === undefined ? undefined : digestOf(parseResult(newest), now(), rules.virtual)
    })
    if (noted === 'gone') return 'outdated'
    const head = (await store.touch(key, now())) ?? (await this.#notLive(key, noted === 'new'))
    if (head === undefined) return this.#conclude(key)
    return this.#tellChange(key, head, digest)
  }

  /** Checks whether a session has ended. */
  async check({ token, ...message }: SessionCheck): Promise<Outcome> {
    const { store, rules, tenants, now } = this.#options
    const key = keyOf(message)
    if (!tenants.has(key.tenant)) return 'foreign'
    const head = await store.head(key)
    if (head?.token !== token || head.state === 'over') return 'outdated'
    const remainingMs = head.lastAt + 1000 * rules.session.silenceS - now().getTime()
    if (remainingMs > 0) {
      await this.#watch(key, remainingMs, (next) => store.passOn(key, token, next))
      return 'collected'
    }
    const outcome = await this.#conclude(key)
    const ended = await store.end(key, head)
    // A window arrived in the meantime: the session and its watch continue.
    if (ended === undefined) await this.#watch(key, 0, (next) => store.passOn(key, token, next))
    return outcome
  }

  /**
   * Starts a session.
   * @returns `undefined` when it was already over and this window was part of it; its patient may be known now
   */
  async #notLive(key: SessionKey, isNew: boolean): Promise<Head | undefined> {
    const { store, rules, now } = this.#options
    if (!isNew && (await store.head(key))?.state === 'over') return undefined
    const silenceMs = 1000 * rules.session.silenceS
    const begun = await this.#watch(key, silenceMs, (token) => store.begin(key, token, now()))
    return begun ?? (await store.touch(key, now())) ?? store.head(key)
  }

  /** Sends the check before the session is stored: an obsolete check ends by itself, but a session without a check would never end. */
  async #watch<T>(key: SessionKey, remainingMs: number, take: (token: string) => Promise<T>): Promise<T> {
    const token = randomUUID()
    const delayS = Math.min(Math.max(Math.ceil(remainingMs / 1000), 1), MAX_DELAY_S)
    await this.#options.sendCheck({ ...key, schema: 1, kind: 'session-check', token }, delayS)
    return take(token)
  }

  /**
   * Reports a change that has lasted. When the EHR does not accept it, the next window tries again, and the session's end at the latest.
   */
  async #tellChange(key: SessionKey, head: Head, digest: WindowDigest): Promise<Outcome> {
    const { store, associations, rules, now } = this.#options
    const { sustainedWindows, changeIntervalS, watch } = rules.session
    const isQuiet = digest.flagged.length === 0 && Object.keys(head.reported).length === 0
    const isTooSoon = now().getTime() < head.lastReportAt + 1000 * changeIntervalS
    if (digest.status === 'refused' || isQuiet || isTooSoon) return 'collected'
    const patientAt = await associations.patientsOf(key.tenant, key.device)
    if (passesOn(digest, patientAt)) return 'collected'
    const patient = patientAt(digest.at)
    const reported = head.reported[patient ?? ''] ?? []
    const differs = watch.some((id) => digest.flagged.includes(id) !== reported.includes(id))
    if (patient === undefined || !differs) return 'collected'
    // Reads twice as many, because refused windows among them do not count.
    const last = lastScreened(await store.newest(key, 2 * sustainedWindows), sustainedWindows)
    const isLongEnough =
      last.length === sustainedWindows &&
      last.every((each) => patientAt(each.at) === patient && !passesOn(each, patientAt))
    if (!isLongEnough || sustainedChanges(last, reported, watch).length === 0) return 'collected'
    const leased = await store.lease(key, now(), now().getTime() + LEASE_MS)
    if (leased === undefined) return 'collected'
    return this.#leased(key, async () => {
      const { outcome, flagged } = await this.#write(key, patient, last, false)
      return {
        outcome,
        done: {
          reported: { ...leased.reported, [patient]: flagged },
          lastReportAt: now().getTime(),
          waiting: leased.waiting,
        },
      }
    }).catch((error: unknown) => {
      this.#options.onPutOff(error)
      return 'collected'
    })
  }

  /** Writes the summary of each patient's windows. Windows without a known patient wait. */
  async #conclude(key: SessionKey): Promise<Outcome> {
    const { store, associations, now } = this.#options
    const head = await store.lease(key, now(), now().getTime() + LEASE_MS)
    if (head === undefined) throw new CodedError('unavailable', { field: 'session' })
    return this.#leased(key, async () => {
      const patientAt = await associations.patientsOf(key.tenant, key.device)
      const windows = (await store.windows(key)).filter((each) => !passesOn(each, patientAt))
      const { true: own = [], false: nobodys = [] } = Object.groupBy(windows, ({ at }) =>
        patientAt(at) === undefined ? 'false' : 'true',
      )
      const reported = { ...head.reported }
      let outcome: Outcome = 'outdated'
      for (const [patient, those] of Map.groupBy(own, ({ at }) => patientAt(at)!)) {
        const written = await this.#write(key, patient, those, true)
        reported[patient] = written.flagged
        outcome = written.outcome
      }
      const waiting = await this.#wait(key, head, nobodys[0])
      const done = { reported, lastReportAt: now().getTime(), waiting }
      return { outcome: waiting === undefined ? outcome : 'waiting', done }
    })
  }

  /** Releases the lease in any case. */
  async #leased(key: SessionKey, work: () => Promise<{ outcome: Outcome; done: Reported }>): Promise<Outcome> {
    let done: Reported | undefined
    try {
      const result = await work()
      done = result.done
      return result.outcome
    } finally {
      await this.#options.store.release(key, done)
    }
  }

  /** @returns the conditions that the chart now shows as flagged */
  async #write(key: SessionKey, patient: string, windows: readonly WindowDigest[], isOver: boolean) {
    const { ehr, rules, now } = this.#options
    const sample = await this.#resultsOf(key.tenant, sampleOf(windows))
    // All of them were deleted, so there is nothing to report.
    if (sample.length === 0) return { outcome: 'outdated' as const, flagged: [] }
    const { sustainedWindows } = rules.session
    const summaryId = sessionSummaryId({ ...key, patient })
    const screening = summarise(windows, sample, { summaryId, isOver, sustainedWindows })
    const outcome = await writeReport(ehr, { screening, patient, issuedAt: now(), allowsVirtual: rules.virtual })
    const { findings } = allowed(screening, rules.virtual)
    return { outcome, flagged: findings.filter(({ flagged }) => flagged).map(({ condition }) => condition) }
  }

  /** The stored results of windows, except those that were deleted or screened again. */
  async #resultsOf(tenant: string, windows: readonly WindowDigest[]): Promise<readonly Result[]> {
    const found: Result[] = []
    for (let from = 0; from < windows.length; from += READERS) {
      const some = windows.slice(from, from + READERS)
      const jsons = await Promise.all(some.map(({ ecgId }) => this.#options.results.latest(tenant, ecgId)))
      for (const [i, json] of jsons.entries()) {
        const result = json === undefined ? undefined : parseResult(json)
        if (result?.provenance.modelSha256 === some[i]!.modelSha256) found.push(result)
      }
    }
    return found
  }

  /** Puts one of the windows without a known patient on the waiting list, in place of the previous one. */
  async #wait(key: SessionKey, head: Head, nobodys: WindowDigest | undefined): Promise<Head['waiting']> {
    const { associations } = this.#options
    const { tenant, device, session } = key
    if (nobodys !== undefined) {
      const origin = { kind: 'mqtt', device, session } as const
      await associations.markUnidentified(tenant, { device, at: nobodys.at, ecgId: nobodys.ecgId, origin })
    }
    const before = head.waiting ?? undefined
    if (before !== undefined && before.ecgId !== nobodys?.ecgId) {
      await associations.markReported(tenant, { device, at: new Date(before.at), ecgId: parseEcgId(before.ecgId)! })
    }
    return nobodys && { at: nobodys.at.toISOString(), ecgId: nobodys.ecgId }
  }
}

/** Whether a device passes from one patient to another within a window. Its samples are of both then, and are reported to neither. */
function passesOn({ at, durationMs }: WindowDigest, patientAt: (at: Date) => string | undefined): boolean {
  const [first, last] = [patientAt(at), patientAt(new Date(at.getTime() + durationMs - 1))]
  return first !== undefined && last !== undefined && first !== last
}

type Reported = NonNullable<Parameters<SessionStore['release']>[1]>

/** Only these fields: a message that is built from them must not contain others. */
const keyOf = ({ tenant, device, session }: SessionKey): SessionKey => ({ tenant, device, session })
