/**
 * Synthetic heart beside the ECG: requests a job, shows its progress, then plays both views in a loop. Everything that is shown here is
 * labelled SYNTHETIC.
 * @module
 */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Result } from '../../../shared/domain/result.ts'
import { ApiError } from '../../../streams/client/problem.ts'
import { api, wanted } from '../api/client.ts'
import { may } from '../auth/session.ts'
import { save } from '../ecg/print.tsx'
import { t, word, wordOr } from '../i18n/index.ts'
import { estimate, moment, number, unitText } from '../ui/format.ts'
import { Icon, Time, wordsOf } from '../ui/parts.tsx'
import { isGoing, type Job, nextSeed, useJobs } from './jobs.ts'
import { Player } from './player.tsx'

export function Cines({ ecgId, result }: { readonly ecgId: string; readonly result: Result }) {
  // A result of an older schema has none.
  const version = (result as Partial<Result>).version ?? 1
  const jobs = useJobs(ecgId, version)
  const { all, shown, isFull, isListed, isAsking, error } = jobs
  const ofVersion = all.value.filter((job) => job.version === version)
  const seed = nextSeed(ofVersion)
  const cycleMs = 60_000 / (result.quality.heartRateBpm ?? 60)
  return (
    <section class="cines" aria-label={t('cines.title')}>
      <header>
        <h2>{t('cines.title')}</h2>
        <span class="chip synthetic">SYNTHETIC</span>
        <p class="hint">{t('cines.hint')}</p>
        {may('cmr:request') && !isFull.value && (
          <button
            type="button"
            class="push"
            disabled={isAsking.value || !isListed.value}
            onClick={() => void jobs.ask(seed)}
          >
            {ofVersion.length === 0 ? t('cines.ask') : t('cines.askAgain', { seed })}
          </button>
        )}
      </header>
      {error.value !== undefined && (
        <p class="refusal" role="alert">
          {wordsOf(error.value)}
        </p>
      )}
      {(all.value.length > 1 || shown.value.length < all.value.length) && (
        <Seeds all={all.value} shown={shown.value} version={version} isFull={isFull.value} onToggle={jobs.toggle} />
      )}
      <div class="jobs">
        {shown.value.map((job) => (
          <JobView
            key={job.jobId}
            job={job}
            newest={version}
            hasNewer={ofVersion.some(({ seed }) => seed === job.seed)}
            cycleMs={cycleMs}
            onAsk={() => void jobs.ask(job.seed, job.jobId)}
          />
        ))}
      </div>
    </section>
  )
}

interface SeedsProps {
  readonly all: readonly Job[]
  readonly shown: readonly Job[]
  /** Newest of the ECG. */
  readonly version: number
  readonly isFull: boolean
  readonly onToggle: (jobId: string) => void
}

/** A button for each job of the ECG; those that are pressed are shown side by side. */
function Seeds({ all, shown, version, isFull, onToggle }: SeedsProps) {
  return (
    <fieldset class="seeds">
      <legend class="sr">{t('cines.which')}</legend>
      {all.map(({ jobId, version: of, seed, status, sampler, submittedAt }) => {
        const isShown = shown.some((job) => job.jobId === jobId)
        const hasTwin = all.some((other) => other.jobId !== jobId && other.seed === seed && other.version === of)
        const notes = [
          ...(of < version ? [t('cines.version', { version: of })] : []),
          ...(hasTwin ? [moment(submittedAt)] : []),
          ...(status === 'done' ? [] : [word('cmr', status)]),
        ]
        return (
          <button
            key={jobId}
            type="button"
            aria-pressed={isShown}
            disabled={isFull && !isShown}
            title={`${sampler}, ${moment(submittedAt)}`}
            onClick={() => onToggle(jobId)}
          >
            {t('cines.seed', { seed })} {notes.length > 0 && <small>{notes.join(', ')}</small>}
          </button>
        )
      })}
    </fieldset>
  )
}

interface JobProps {
  readonly job: Job
  /** Newest version of the ECG. */
  readonly newest: number
  /** The newest version was drawn from the same seed. */
  readonly hasNewer: boolean
  readonly cycleMs: number
  readonly onAsk: () => void
}

function JobView({ job, newest, hasNewer, cycleMs, onAsk }: JobProps) {
  const { version, status, step, steps, seed, sampler, artifacts, reason, field, jobId, submittedAt } = job
  const cancel = () => wanted(api.DELETE('/v1/cmr/{jobId}', { params: { path: { jobId } } })).catch(() => {})
  return (
    <article class="job" data-status={status}>
      <header>
        <b>{t('cines.seed', { seed })}</b>{' '}
        <small>
          {sampler}, <Time iso={submittedAt} />
        </small>
      </header>
      {version < newest && (
        <p class="outdated" role="note">
          {t('cines.outdated', { version })}{' '}
          {may('cmr:request') && !hasNewer && (
            <button type="button" onClick={onAsk}>
              {t('cines.askNewest', { version: newest })}
            </button>
          )}
        </p>
      )}
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
          {version === newest && (
            <button type="button" onClick={onAsk}>
              {t('action.retry')}
            </button>
          )}
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
