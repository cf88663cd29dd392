/**
 * Operations view of a tenant: devices, lag, refusals, dead letters and redrive, the active model, and alarms with their runbook sections.
 * @module
 */
import { type Signal, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Schemas } from '../../../streams/client/index.ts'
import type { ApiError } from '../../../streams/client/problem.ts'
import { api, toApiError, wanted } from '../api/client.ts'
import { may } from '../auth/session.ts'
import { t, word } from '../i18n/index.ts'
import { href } from '../router.ts'
import { number, percent } from '../ui/format.ts'
import { Failure, Icon, State, Time, wordsOf } from '../ui/parts.tsx'
import { Runbook } from './runbook.tsx'

type State_ = Schemas['Operations']
type Queue = State_['queues'][number]

const EVERY_MS = 15_000

/** Conventional threshold of a population shift, at which the alarm is raised. */
const SHIFTS = { much: 0.25 }

export function Operations({ section }: { readonly section: string | undefined }) {
  const { state, error, refresh } = useOperations()
  const found = state.value
  if (section !== undefined) return <Runbook section={section} />
  return (
    <main class="operations" id="main">
      <div class="operations-head">
        <h1>{t('nav.operations')}</h1>
        {found !== undefined && (
          <span class="hint">
            {t('ops.asOf')} <Time iso={found.at} />
          </span>
        )}
        {found !== undefined && error.value !== undefined && (
          <span class="stressed" role="status">
            {wordsOf(error.value)}
          </span>
        )}
      </div>
      {found === undefined ? (
        error.value === undefined ? (
          <State icon="loading" title={t('state.loading')} />
        ) : (
          <Failure error={error.value} onRetry={refresh} />
        )
      ) : (
        <div class="cards">
          <Figures {...found.windows} />
          <Alarms alarms={found.alarms} />
          <Queues queues={found.queues} onMoved={refresh} />
          <div class="stacked">
            <Refusals {...found.windows} />
            <Model {...found} />
          </div>
        </div>
      )}
    </main>
  )
}

function useOperations(): {
  readonly state: Signal<State_ | undefined>
  readonly error: Signal<ApiError | undefined>
  readonly refresh: () => void
} {
  const state = useSignal<State_ | undefined>(undefined)
  const error = useSignal<ApiError | undefined>(undefined)
  const refresh = () =>
    void wanted(api.GET('/v1/operations')).then(
      (found) => {
        state.value = found
        error.value = undefined
      },
      (thrown: unknown) => {
        error.value = toApiError(thrown)
      },
    )
  useEffect(() => {
    refresh()
    // A hidden page is not refreshed.
    const timer = setInterval(() => document.visibilityState === 'visible' && refresh(), EVERY_MS)
    return () => clearInterval(timer)
  }, [])
  return { state, error, refresh }
}

type Windows = State_['windows']

function Figures({ devicesOnline, perMinute, lagS, screened, refused, spanS }: Windows) {
  const total = screened + refused
  const figures = [
    ['online', number(devicesOnline), ''],
    ['throughput', number(perMinute, perMinute < 10 ? 1 : 0), t('ops.aMinute')],
    ['lag', lagS === undefined ? '–' : number(lagS.p50, 1), lagS === undefined ? '' : 's'],
    ['lagP95', lagS === undefined ? '–' : number(lagS.p95, 1), lagS === undefined ? '' : 's'],
    ['refused', total === 0 ? '–' : percent(refused / total), ''],
  ] as const
  return (
    <section class="card figures" aria-label={t('ops.now')}>
      <dl>
        {figures.map(([name, value, unit]) => (
          <div key={name} data-figure={name}>
            <dt>{word('ops', name)}</dt>
            <dd class="num">
              {value} <small>{unit}</small>
            </dd>
          </div>
        ))}
      </dl>
      <p class="hint">{t('ops.counted', { minutes: number(spanS / 60, spanS % 60 === 0 ? 0 : 1) })}</p>
    </section>
  )
}

const ORDER = { alarm: 0, unknown: 1, ok: 2 } as const

function Alarms({ alarms }: Pick<State_, 'alarms'>) {
  const sorted = alarms.toSorted((a, b) => ORDER[a.state] - ORDER[b.state] || a.id.localeCompare(b.id))
  const raised = alarms.filter(({ state }) => state === 'alarm').length
  return (
    <section class="card alarms">
      <h2>
        {t('ops.alarms')} <small>{raised === 0 ? t('ops.noAlarm') : t('ops.raised', { count: raised })}</small>
      </h2>
      <ul>
        {sorted.map(({ id, of, state, since }) => (
          <li key={`${id} ${of}`} class={state} data-alarm={id}>
            <span class={`chip ${state}`}>{word('alarm', state)}</span>
            <a href={href({ view: 'operations', section: id })}>{id}</a>
            {of !== undefined && <code>{of}</code>}
            {since !== undefined && (
              <span class="push hint">
                <Time iso={since} />
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

interface QueuesProps {
  readonly queues: readonly Queue[]
  readonly onMoved: () => void
}

function Queues({ queues, onMoved }: QueuesProps) {
  const asked = useSignal<{ queue: Queue['name']; reason: string; count: number } | undefined>(undefined)
  const said = useSignal<string | undefined>(undefined)
  const dialog = useRef<HTMLDialogElement>(null)
  const move = () => {
    const { queue, reason } = asked.value!
    dialog.current?.close()
    wanted(api.POST('/v1/operations/redrive', { body: { queue, reason } })).then(
      ({ moved }) => {
        said.value = t('ops.moved', { count: moved, queue })
        onMoved()
      },
      (thrown: unknown) => {
        said.value = wordsOf(toApiError(thrown))
      },
    )
  }
  return (
    <section class="card queues">
      <h2>{t('ops.queues')}</h2>
      <table>
        <thead>
          <tr>
            <th>{t('ops.queue')}</th>
            <th class="num">{t('ops.waiting')}</th>
            <th>{t('ops.dead')}</th>
          </tr>
        </thead>
        <tbody>
          {queues.map(({ name, waiting, dead, isPartial }) => (
            <tr key={name} data-queue={name}>
              <th scope="row">
                <code>{name}</code>
              </th>
              <td class="num">{number(waiting)}</td>
              <td>
                {dead.length === 0 && <span class="hint">{isPartial ? t('ops.partial') : '–'}</span>}
                {dead.map(({ reason, count }) => (
                  <div key={reason} class="dead">
                    <span class="num">{number(count)}</span> <code>{reason}</code>
                    {may('ops:write') && (
                      <button
                        type="button"
                        onClick={() => {
                          asked.value = { queue: name, reason, count }
                          dialog.current?.showModal()
                        }}
                      >
                        {t('ops.redrive')}
                      </button>
                    )}
                  </div>
                ))}
                {dead.length > 0 && isPartial && <span class="hint">{t('ops.partial')}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint" role="status">
        {said.value ?? t('ops.queuesHint')}
      </p>
      <dialog ref={dialog} aria-label={t('ops.redrive')}>
        <h2>{t('ops.redrive')}</h2>
        <p>{asked.value !== undefined && t('ops.redriveHint', asked.value)}</p>
        <div class="buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {t('action.cancel')}
          </button>
          <button type="button" class="primary" onClick={move}>
            {t('ops.redrive')}
          </button>
        </div>
      </dialog>
    </section>
  )
}

function Refusals({ refusals, refused }: Windows) {
  return (
    <section class="card refusals">
      <h2>{t('ops.refusals')}</h2>
      {refusals.length === 0 ? (
        <p class="hint">{t('ops.noRefusal')}</p>
      ) : (
        <ul>
          {refusals.map(({ reason, count }) => (
            <li key={reason}>
              <span>{word('reason', reason)}</span>
              <Bar share={count / refused} />
              <span class="num">{number(count)}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function Model({ bundle, drift }: Pick<State_, 'bundle' | 'drift'>) {
  const shifts = drift && [
    ...drift.scores.map(({ condition, shift }) => [word('condition', condition), shift] as const),
    [t('ops.quality'), drift.quality] as const,
  ]
  return (
    <section class="card model">
      <h2>{t('ops.model')}</h2>
      {bundle !== undefined && (
        <p>
          <b>{bundle.name}</b> <code title={bundle.sha256}>{bundle.sha256.slice(0, 12)}</code>
        </p>
      )}
      <h3>{t('ops.drift')}</h3>
      {shifts === undefined ? (
        <p class="hint">{t('ops.noDrift')}</p>
      ) : (
        <>
          <ul>
            {shifts.map(([name, shift]) => (
              <li key={name}>
                <span>{name}</span>
                <Bar share={shift / (2 * SHIFTS.much)} mark={0.5} />
                <span class="num">
                  {number(shift, 2)} {shift >= SHIFTS.much && <Icon name="warning" />}
                </span>
              </li>
            ))}
          </ul>
          <p class="hint">
            {t('ops.driftHint', { much: number(SHIFTS.much, 2) })} <Time iso={drift!.at} />
          </p>
        </>
      )}
    </section>
  )
}

/** @param mark the position of a limit */
function Bar({ share, mark }: { readonly share: number; readonly mark?: number }) {
  return (
    <svg class="bar" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" x="0" y="2" width="100" height="2" />
      <rect class="fill" x="0" y="1" width={100 * Math.min(1, Math.max(0, share))} height="4" />
      {mark !== undefined && <rect class="mark" x={100 * mark - 0.3} y="0" width="0.6" height="6" />}
    </svg>
  )
}
