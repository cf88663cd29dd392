/**
 * Heart rate and probabilities over time: of the patient, with all devices, or of the device if no patient is known.
 * @module
 */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { listenToResults, type Summary } from '../api/events.ts'
import { ecgsOf, isSamePatient, type Subject } from '../ecg/subject.ts'
import { t } from '../i18n/index.ts'
import { href } from '../router.ts'
import { clock, day, moment, number } from '../ui/format.ts'

const COUNT = 100
const [WIDTH, HEIGHT] = [320, 60]

interface TrendsProps {
  readonly subject: Subject
  readonly ecgId: string
}

export function Trends({ subject, ecgId }: TrendsProps) {
  const { device, patient } = subject
  const items = useSignal<readonly Summary[]>([])
  useEffect(() => {
    items.value = []
    if (device === undefined) return
    const stop = listenToResults((summary) => {
      if (summary.device !== device) return
      if (patient !== undefined && !isSamePatient(subject, summary.startedAt)) return
      const others = items.peek().filter((each) => each.ecgId !== summary.ecgId)
      items.value = [...others, summary].slice(-COUNT)
    })
    ecgsOf({ ...(patient === undefined ? { device } : { samePatientAs: ecgId }), limit: COUNT }).then(
      (taken) => {
        items.value = taken.toReversed()
      },
      () => {},
    )
    return stop
  }, [device, patient, ecgId])
  const taken = items.value.toSorted((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt))
  if (taken.length < 3) return null
  return (
    <section class="trends">
      <h2>
        {t('trends.title')} <small>{t('trends.count', { count: taken.length, of: patient ?? device ?? '' })}</small>
      </h2>
      <Line
        name={t('measured.rate')}
        unit="bpm"
        items={taken}
        ecgId={ecgId}
        pick={({ heartRateBpm }) => heartRateBpm}
      />
      <Line
        name={t('worklist.highest')}
        unit="%"
        items={taken}
        ecgId={ecgId}
        pick={({ top }) => (top === undefined ? undefined : 100 * top.probability)}
      />
      <p class="hint">
        {day(taken[0]!.startedAt)} {clock(taken[0]!.startedAt)} – {day(taken.at(-1)!.startedAt)}{' '}
        {clock(taken.at(-1)!.startedAt)}
      </p>
    </section>
  )
}

interface LineProps {
  readonly name: string
  readonly unit: string
  readonly items: readonly Summary[]
  readonly ecgId: string
  readonly pick: (summary: Summary) => number | undefined
}

function Line({ name, unit, items, ecgId, pick }: LineProps) {
  const points = items.flatMap((item) => {
    const value = pick(item)
    return value === undefined ? [] : [{ item, value, at: Date.parse(item.startedAt) }]
  })
  if (points.length < 2) return null
  const values = points.map(({ value }) => value)
  const [least, greatest] = [Math.min(...values), Math.max(...values)]
  const [begin, end] = [points[0]!.at, points.at(-1)!.at]
  const x = (at: number) => 4 + ((WIDTH - 8) * (at - begin)) / Math.max(1, end - begin)
  const y = (value: number) => HEIGHT - 6 - ((HEIGHT - 12) * (value - least)) / Math.max(1e-9, greatest - least)
  return (
    <figure class="trend">
      <figcaption>
        {name}{' '}
        <span class="num push">
          {number(least)}–{number(greatest)} {unit}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${name}: ${number(least)}–${number(greatest)} ${unit}`}
      >
        <polyline points={points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')} />
        {points.map(({ item, at, value }) => (
          <a
            key={item.ecgId}
            href={href({ view: 'ecg', id: item.ecgId })}
            tabIndex={-1}
            aria-label={moment(item.startedAt)}
          >
            <circle
              cx={x(at)}
              cy={y(value)}
              r={item.ecgId === ecgId ? 4 : 2}
              class={item.ecgId === ecgId ? 'here' : ''}
            />
          </a>
        ))}
      </svg>
    </figure>
  )
}
