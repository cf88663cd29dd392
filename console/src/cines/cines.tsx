/**
 * Synthetic heart beside the ECG: requests a job, shows its progress, then plays both views in a loop. Everything that is shown here is
 * labelled SYNTHETIC.
 * @module
 */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Result } from '../../../shared/domain/result.ts'
import type { Schemas } from '../../../streams/client/index.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { listenToJobs } from '../api/events.ts'
import { may } from '../auth/session.ts'
import { save } from '../ecg/print.tsx'
import { t, word, wordOr } from '../i18n/index.ts'
import { estimate, number, unitText } from '../ui/format.ts'
import { Icon, wordsOf } from '../ui/parts.tsx'
import { Player } from './player.tsx'

type Job = Schemas['CmrJob']

/** Most jobs at once; more are hard to compare. */
const MOST = 4
/** Polling interval. Events report the progress; polling covers their loss. */
const ASK_MS = 4_000

export function Cines({ ecgId, result }: { readonly ecgId: string; readonly result: Result }) {
  const jobs = useSignal<readonly Job[]>([])
  const error = useSignal<ApiError | undefined>(undefined)
  const isAsking = useSignal(false)
  const put = (job: Job) => {
    const others = jobs.peek().filter(({ jobId }) => jobId !== job.jobId)
    jobs.value = [...others, job].toSorted((a, b) => a.seed - b.seed)
  }
  const refresh = (jobId: string) =>
    wanted(api.GET('/v1/cmr/{jobId}', { params: { path: { jobId } } })).then(put, () => {})

  useEffect(() => {
    const stop = listenToJobs((progress) => {
      const known = jobs.peek().find(({ jobId }) => jobId === progress.jobId)
      if (known === undefined) return
      put({ ...known, ...progress })
      if (progress.status === 'done' || progress.status === 'failed') void refresh(progress.jobId)
    })
    const timer = setInterval(() => {
      for (const job of jobs.peek()) if (isGoing(job)) void refresh(job.jobId)
    }, ASK_MS)
    return () => {
      stop()
      clearInterval(timer)
    }
  }, [])

  const ask = async (seed: number) => {
    isAsking.value = true
    error.value = undefined
    try {
      put(await wanted(api.POST('/v1/ecgs/{id}/cmr', { params: { path: { id: ecgId } }, body: { seed } })))
    } catch (cause) {
      error.value = toApiError(cause)
    } finally {
      isAsking.value = false
    }
  }
  const next = jobs.value.length === 0 ? 0 : Math.max(...jobs.value.map(({ seed }) => seed)) + 1
  return (
    <section class="cines" aria-label={t('cines.title')}>
      <header>
        <h2>{t('cines.title')}</h2>
        <span class="chip synthetic">SYNTHETIC</span>
        <p class="hint">{t('cines.hint')}</p>
        {may('cmr:request') && jobs.value.length < MOST && (
          <button type="button" class="push" disabled={isAsking.value} onClick={() => void ask(next)}>
            {jobs.value.length === 0 ? t('cines.ask') : t('cines.askAgain', { seed: next })}
          </button>
        )}
      </header>
      {error.value !== undefined && (
        <p class="refusal" role="alert">
          {wordsOf(error.value)}
        </p>
      )}
      <div class="jobs">
        {jobs.value.map((job) => (
          <JobView
            key={job.jobId}
            job={job}
            cycleMs={60_000 / (result.quality.heartRateBpm ?? 60)}
            onRetry={() => void ask(job.seed)}
          />
        ))}
      </div>
    </section>
  )
}

const isGoing = ({ status }: Job) => status === 'queued' || status === 'starting' || status === 'running'

interface JobProps {
  readonly job: Job
  readonly cycleMs: number
  readonly onRetry: () => void
}

function JobView({ job, cycleMs, onRetry }: JobProps) {
  const { status, step, steps, seed, sampler, artifacts, reason, field, jobId } = job
  const cancel = () => wanted(api.DELETE('/v1/cmr/{jobId}', { params: { path: { jobId } } })).catch(() => {})
  return (
    <article class="job" data-status={status}>
      <header>
        <b>{t('cines.seed', { seed })}</b> <small>{sampler}</small>
      </header>
      {isGoing(job) && (
        <div class="progress" role="status">
          <progress
            max={1}
            {...(step === undefined || steps === undefined ? {} : { value: step / steps })}
            aria-label={word('cmr', status)}
          />
          <span class="num">
            {step === undefined ? word('cmr', status) : t('cines.step', { step, steps: steps ?? '?' })}
          </span>
          {may('cmr:request') && (
            <button type="button" class="quiet" onClick={() => void cancel()}>
              {t('action.cancel')}
            </button>
          )}
        </div>
      )}
      {(status === 'failed' || status === 'cancelled') && (
        <p class="refusal">
          {status === 'cancelled' ? word('cmr', status) : wordsOf(new ApiError(422, { code: reason, field }))}{' '}
          <button type="button" onClick={onRetry}>
            {t('action.retry')}
          </button>
        </p>
      )}
      {status === 'done' && artifacts !== undefined && <Drawn job={job} cycleMs={cycleMs} />}
    </article>
  )
}

interface DrawnIndex {
  readonly id: string
  readonly name: string
  readonly unit: string
  readonly drawn: number | null
  readonly drawnCorrelation?: number
  readonly readoutCorrelation: number
  readonly estimated?: { readonly value: number; readonly correlation: number }
}

function Drawn({ job, cycleMs }: { readonly job: Job; readonly cycleMs: number }) {
  const { jobId, artifacts = [] } = job
  const views = useSignal<readonly { readonly name: string; readonly bytes: ArrayBuffer }[]>([])
  const indices = useSignal<readonly DrawnIndex[]>([])
  useEffect(() => {
    const read = (name: string) => artifact(jobId, name)
    Promise.all(['sax', '4ch'].map(async (name) => ({ name, bytes: await read(`${name}.webp`) }))).then(
      (both) => {
        views.value = both
      },
      () => {},
    )
    read('indices.json').then(
      (bytes) => {
        indices.value = listOf(JSON.parse(new TextDecoder().decode(bytes)))
      },
      () => {},
    )
  }, [jobId])
  return (
    <>
      {views.value.length > 0 && <Player views={views.value} cycleMs={cycleMs} />}
      {indices.value.length > 0 && <DrawnIndices indices={indices.value} />}
      <p class="files">
        {artifacts
          .filter(({ name }) => name.endsWith('.dcm'))
          .map(({ name, bytes, contentType }) => (
            <button
              key={name}
              type="button"
              class="quiet"
              data-artifact={name}
              onClick={() =>
                void artifact(jobId, name).then((data) =>
                  save(new Blob([data], { type: contentType }), `synthetic-${name}`),
                )
              }
            >
              <Icon name="download" /> {name} <small class="num">{number(bytes / 1024)} KB</small>
            </button>
          ))}
      </p>
    </>
  )
}

async function artifact(jobId: string, name: string): Promise<ArrayBuffer> {
  const params = { path: { jobId, name } }
  return await wanted(api.GET('/v1/cmr/{jobId}/artifacts/{name}', { params, parseAs: 'arrayBuffer' }))
}

/** The file is our own. In older versions it is a list or contains one. */
function listOf(file: unknown): readonly DrawnIndex[] {
  if (Array.isArray(file)) return file as DrawnIndex[]
  const inside = typeof file === 'object' && file !== null && 'indices' in file ? file.indices : []
  return Array.isArray(inside) ? (inside as DrawnIndex[]) : []
}

function DrawnIndices({ indices }: { readonly indices: readonly DrawnIndex[] }) {
  return (
    <table class="drawn">
      <caption class="sr">{t('cines.measured')}</caption>
      <thead>
        <tr>
          <th scope="col">{t('indices.name')}</th>
          <th scope="col" class="right">
            {t('cines.fromPicture')}
          </th>
          <th scope="col" class="right">
            {t('cines.fromEcg')}
          </th>
        </tr>
      </thead>
      <tbody>
        {indices.map(({ id, name, unit, drawn, drawnCorrelation, readoutCorrelation, estimated }) => (
          <tr key={id}>
            <th scope="row">{wordOr(name, 'index', id)}</th>
            <td class="num right">
              {drawn === null ? (
                t('cines.notFound')
              ) : (
                <>
                  {estimate(drawn)} <small>{unitText(unit)}</small>
                </>
              )}
              <small class="worth"> r {number(drawnCorrelation ?? readoutCorrelation, 2)}</small>
            </td>
            <td class="num right">
              {estimated === undefined ? (
                '–'
              ) : (
                <>
                  {estimate(estimated.value)} <small>{unitText(unit)}</small>
                  <small class="worth"> r {number(estimated.correlation, 2)}</small>
                </>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
