/**
 * Writes drawn cines into the chart of the ECG's patient, if the site allows values that were learned from simulated people.
 * @module
 */
import * as z from 'zod'
import type { SiteConfig } from '../../shared/config/site.ts'
import type { CmrJob } from '../../shared/domain/cmr-job.ts'
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import { EVIDENCES } from '../../shared/domain/result.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import type { CineMessage } from '../../shared/messages.ts'
import type { AssociationStore } from '../../shared/store/associations.ts'
import type { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import type { Judged, ResultStore } from '../../shared/store/results.ts'
import type { EhrClient } from '../../streams/fhir/client.ts'
import { cineBundle } from '../../streams/fhir/report/cine.ts'
import { outdatedCines, withdraw } from '../../streams/fhir/report/withdraw.ts'
import type { Outcome } from './outcome.ts'
import { type Whose, whoseInChart } from './whose.ts'

export interface CinesOptions {
  readonly ehr: Pick<EhrClient, 'baseUrl' | 'read' | 'searchPages' | 'transaction'>
  readonly serverId: string
  /** Tenant that the EHR's ECGs belong to. */
  readonly ehrTenant: string
  /** Tenants that may report to the EHR. */
  readonly tenants: ReadonlySet<string>
  readonly jobs: Pick<CmrJobStore, 'get' | 'ofEcg'>
  readonly results: Pick<ResultStore, 'judged'>
  readonly associations: Pick<AssociationStore, 'patientOf'>
  readonly readArtifact: (job: CmrJob, name: string) => Promise<Uint8Array | undefined>
  readonly rules: SiteConfig['report']
  /** Called when the EHR refuses to withdraw a cine of an earlier version, which stays in the chart. */
  readonly onStays: (error: CodedError) => void
}

/** The part of the manifest from `functions/synthesize` that the chart needs. */
const Manifest = z.object({
  drawing: z.object({ seed: z.int(), sampler: z.string(), modelSha256: z.string() }),
  model: z.string(),
  evidence: z.enum(EVIDENCES),
  studyUid: z.string(),
  views: z.array(
    z.object({
      view: z.enum(['sax', '4ch']),
      seriesUid: z.string(),
      instanceUid: z.string(),
      frames: z.int().positive(),
    }),
  ),
  files: z.array(z.object({ name: z.string(), contentType: z.string() })),
})

export class Cines {
  readonly #options: CinesOptions

  constructor(options: CinesOptions) {
    this.#options = options
  }

  /**
   * Writes the drawing of a job. A repeat has no effect.
   * @throws CodedError `unavailable` for a job that is not done yet, and those of the client
   */
  async write({ tenant, jobId }: CineMessage): Promise<Outcome> {
    const { jobs } = this.#options
    const job = await jobs.get(tenant, jobId)
    if (job === undefined || job.status === 'failed' || job.status === 'cancelled') return 'outdated'
    if (job.status !== 'done') throw new CodedError('unavailable', { field: 'job' })
    return this.#write(job)
  }

  /** Writes everything that was drawn from an ECG. */
  async writeAll(tenant: string, ecgId: EcgId): Promise<void> {
    for (const job of await this.#options.jobs.ofEcg(tenant, ecgId)) {
      if (job.status === 'done') await this.#write(job)
    }
  }

  async #write(job: CmrJob): Promise<Outcome> {
    const { ehr, results, readArtifact, rules, tenants } = this.#options
    const { tenant, ecgId, version, updatedAt } = job
    if (!tenants.has(tenant)) return 'foreign'
    const judged = await results.judged(tenant, ecgId)
    const text = await readArtifact(job, 'manifest.json')
    // A drawing from before a correction shows samples that no longer count.
    if (judged?.result.version !== version || text === undefined) return 'outdated'
    const manifest = Manifest.parse(JSON.parse(Buffer.from(text).toString('utf8')))
    if (manifest.evidence === 'virtual' && !rules.virtual) return 'withheld'
    const whose = await this.#whose(tenant, judged)
    if (whose === undefined) return 'nobody'
    if (whose === 'withdrawn') return whose
    const views = await Promise.all(
      manifest.views.map(async ({ view, ...uids }) => {
        const file = manifest.files.find(({ name }) => name.startsWith(`${view}.`) && !name.endsWith('.dcm'))
        const bytes = file && (await readArtifact(job, file.name))
        if (bytes === undefined) throw new CodedError('unavailable', { field: view })
        return { view, ...uids, preview: { contentType: file!.contentType, bytes } }
      }),
    )
    const { drawing, model, studyUid } = manifest
    const { seed, sampler, modelSha256: sha256 } = drawing
    const drawnAt = new Date(updatedAt)
    await ehr.transaction(
      cineBundle({
        ecgId,
        version,
        seed,
        sampler,
        ...whose,
        drawnAt,
        studyUid,
        views,
        model: { bundle: model, sha256 },
      }),
    )
    // A correction that was stored meanwhile found no cine in the chart.
    await this.withdrawOutdated(tenant, ecgId)
    return 'written'
  }

  /**
   * Withdraws the cines of earlier versions of a corrected ECG from the chart. A repeat finds nothing.
   * @throws CodedError those of the client that a retry may fix
   */
  async withdrawOutdated(tenant: string, ecgId: EcgId): Promise<void> {
    const { ehr, jobs, results, onStays } = this.#options
    const drawn = (await jobs.ofEcg(tenant, ecgId)).filter(({ status }) => status === 'done')
    if (drawn.length === 0) return
    const newest = (await results.judged(tenant, ecgId))?.result.version
    if (newest === undefined || drawn.every(({ version }) => version >= newest)) return
    try {
      const refused = await withdraw(ehr, await outdatedCines(ehr, new Map([[ecgId, newest]])))
      for (const { error } of refused) onStays(error)
    } catch (thrown) {
      const error = toCodedError(thrown)
      if (!error.kind.permanent) throw error
      onStays(error)
    }
  }

  /** The patient of an ECG. For a device's ECG, the associations of this moment apply: a cine is not put on the waiting list. */
  async #whose(tenant: string, { origin, result, arrivedAt }: Judged): Promise<Whose | 'withdrawn' | undefined> {
    const { ehr, serverId, ehrTenant, associations } = this.#options
    if (origin.kind === 'fhir') {
      if (origin.server !== serverId || tenant !== ehrTenant)
        throw new CodedError('origin-foreign', { field: 'origin.server' })
      return whoseInChart(ehr, origin.source)
    }
    if (origin.device === undefined) return undefined
    const { startedAt } = result.span
    const at = startedAt === null ? arrivedAt : new Date(startedAt)
    const patient = await associations.patientOf(tenant, origin.device, at)
    return patient === undefined ? undefined : { patient }
  }
}
