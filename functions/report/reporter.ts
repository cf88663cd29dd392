/**
 * Reports a result to the chart: decides about the patient, the permission and the time. A result of a file or of the EHR is written at
 * once; a live session is written as one summary (`sessions.ts`).
 * @module
 */

import type { SiteConfig } from '../../shared/config/site.ts'
import { parseResult, type Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import type { Origin, ReportMessage, ResultMessage } from '../../shared/messages.ts'
import type { AssociationStore } from '../../shared/store/associations.ts'
import type { ResultStore } from '../../shared/store/results.ts'
import type { EhrClient } from '../../streams/fhir/client.ts'
import { screeningOf } from '../../streams/fhir/report/screening.ts'
import { writeReport } from '../../streams/fhir/report/write.ts'
import type { Cines } from './cines.ts'
import type { Outcome } from './outcome.ts'
import type { Sessions } from './sessions.ts'
import { type Whose, whoseInChart } from './whose.ts'

export interface ReporterOptions {
  readonly ehr: EhrClient
  /** The site's name of the EHR. */
  readonly serverId: string
  /** Tenant that the EHR's ECGs belong to. */
  readonly ehrTenant: string
  /** Tenants that may report to the EHR. */
  readonly tenants: ReadonlySet<string>
  readonly results: Pick<ResultStore, 'judged' | 'latest'>
  readonly associations: Pick<AssociationStore, 'patientOrWait' | 'markReported'>
  readonly sessions: Sessions
  readonly cines: Cines
  readonly rules: SiteConfig['report']
  readonly now: () => Date
}

export class Reporter {
  readonly #options: ReporterOptions

  constructor(options: ReporterOptions) {
    this.#options = options
  }

  /** Handles a message. Resolves when it has had its full effect; a repeat has none. */
  async report(message: ReportMessage): Promise<Outcome> {
    const { sessions, cines, tenants } = this.#options
    if (!tenants.has(message.tenant)) return 'foreign'
    if ('kind' in message) return message.kind === 'cine' ? cines.write(message) : sessions.check(message)
    const { tenant, origin } = message
    const result = readResult(message.result)
    const outcome =
      origin.kind === 'mqtt'
        ? await sessions.add({ tenant, ...origin }, result)
        : await this.#reportOne(message, origin, result)
    if (result.version > 1) await cines.withdrawOutdated(tenant, result.ecgId)
    return outcome
  }

  async #reportOne(message: ResultMessage, origin: ChartOrigin, result: Result): Promise<Outcome> {
    const { ehr, results, associations, cines, rules, now } = this.#options
    const { tenant } = message
    const { ecgId } = result
    const [latest, whose] = await Promise.all([results.latest(tenant, ecgId), this.#whose(tenant, origin, result)])
    if (latest !== message.result) return 'outdated'
    if (typeof whose === 'string') return whose
    const outcome = await writeReport(ehr, {
      screening: screeningOf(result),
      ...whose,
      issuedAt: now(),
      allowsVirtual: rules.virtual,
    })
    if (origin.kind === 'upload') {
      // The patient may have become known only now. Until then, drawings wait like the result.
      await cines.writeAll(tenant, ecgId)
      await associations.markReported(tenant, { device: origin.device!, at: await this.#timeOf(tenant, result), ecgId })
    }
    return outcome
  }

  async #whose(
    tenant: string,
    origin: ChartOrigin,
    result: Result,
  ): Promise<Whose | 'waiting' | 'nobody' | 'withdrawn'> {
    const { ehr, serverId, ehrTenant, associations } = this.#options
    if (origin.kind === 'fhir') {
      if (origin.server !== serverId || tenant !== ehrTenant)
        throw new CodedError('origin-foreign', { field: 'origin.server' })
      return whoseInChart(ehr, origin.source)
    }
    const { device } = origin
    if (device === undefined) return 'nobody'
    const at = await this.#timeOf(tenant, result)
    const patient = await associations.patientOrWait(tenant, { device, at, ecgId: result.ecgId, origin })
    return patient === undefined ? 'waiting' : { patient }
  }

  /**
   * Time by which an ECG's patient is looked up. Without a start time it is that of its arrival: when the report is written later, after an
   * outage or an association, the device may be on another patient.
   */
  async #timeOf(tenant: string, { ecgId, span }: Result): Promise<Date> {
    const { results, now } = this.#options
    if (span.startedAt !== null) return new Date(span.startedAt)
    return (await results.judged(tenant, ecgId))?.arrivedAt ?? now()
  }
}

type ChartOrigin = Exclude<Origin, { kind: 'mqtt' }>

function readResult(json: string): Result {
  try {
    return parseResult(json)
  } catch {
    // The parser's message quotes the result.
    throw new CodedError('payload-malformed', { field: 'result' })
  }
}
