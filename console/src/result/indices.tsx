/**
 * The 82 indices in groups. Each estimate shows its interval and its correlation with the truth, so that it never looks like a measurement.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'
import {
  type NoRange,
  PETERSEN_2017,
  type ReferenceRange,
  referenceRange,
} from '../../../shared/domain/reference-ranges.ts'
import type { IndexEstimate } from '../../../shared/domain/result.ts'
import { type VirtualPeople, virtualPeople } from '../../../shared/domain/virtual-ranges.ts'
import { t, word, wordOr } from '../i18n/index.ts'
import { estimate, number, range as span, unitText } from '../ui/format.ts'
import { BullsEye } from './bulls-eye.tsx'

/** In the order of the indices (`shared/domain/indices.json`). */
const GROUPS = [
  ['lv', 0, 6],
  ['rv', 6, 10],
  ['la', 10, 14],
  ['ra', 14, 18],
  ['aorta', 18, 24],
  ['thickness', 24, 41],
  ['circumferential', 41, 58],
  ['radial', 58, 75],
  ['longitudinal', 75, 82],
] as const

const { citation, fromYears, toYears } = PETERSEN_2017

const SEGMENTED: readonly string[] = ['thickness', 'circumferential', 'radial']

/** Short name of an index of the walls: its group says the rest. */
function segmentName(id: string): string | undefined {
  const segment = /(?:Aha|Segment)(\d+)$/.exec(id)?.[1]
  if (segment !== undefined) return t('indices.segment', { segment })
  return /^(?:wallThickness|\w+Strain)Global$/.test(id) ? t('indices.global') : undefined
}

interface IndicesProps {
  readonly indices: readonly IndexEstimate[]
  /** Sex, age and size, as far as the model received them. */
  readonly person: Person | undefined
}

export function Indices({ indices, person = {} }: IndicesProps) {
  const virtual = virtualPeople(person)
  return (
    <section class="indices">
      <h2>{t('indices.title')}</h2>
      <p class="hint">{t('indices.hint')}</p>
      <p class="hint">
        <Key is="normal" /> {t('indices.ranges', { source: citation, from: fromYears, to: toYears })}
      </p>
      <p class="hint" data-virtual={virtual === undefined ? 'nobody' : (virtual.sex ?? 'everybody')}>
        <Key is="virtual" /> {aboutVirtual(virtual)}
      </p>
      {GROUPS.map(([group, begin, end], i) => {
        const members = indices.slice(begin, end)
        if (members.length === 0) return null
        const ranges = new Map(members.map(({ id }) => [id, referenceRange(id, person)]))
        const reasons = [...new Set(ranges.values())].filter((each) => typeof each === 'string')
        return (
          <details key={group} open={i === 0} data-group={group}>
            <summary>
              {word('group', group)} <small>{members.length}</small>
            </summary>
            {SEGMENTED.includes(group) && members.length === 17 && (
              <BullsEye segments={members.slice(0, 16)} global={members[16]!} />
            )}
            <table aria-label={word('group', group)}>
              <thead class="sr">
                <tr>
                  <th>{t('indices.name')}</th>
                  <th>{t('indices.value')}</th>
                  <th>{t('indices.interval')}</th>
                  <th>{t('indices.reliability')}</th>
                </tr>
              </thead>
              <tbody>
                {members.map((index) => (
                  <Row key={index.id} index={index} range={ranges.get(index.id)} virtual={virtual} />
                ))}
              </tbody>
            </table>
            {reasons.map((reason) => (
              <p key={reason} class="hint" data-no-range={reason}>
                {t('indices.noRangeBecause', { of: whose(reason, members, ranges), reason: word('noRange', reason) })}
              </p>
            ))}
          </details>
        )
      })}
    </section>
  )
}

/** The look of a range, for the legend. */
function Key({ is }: { readonly is: 'normal' | 'virtual' }) {
  return (
    <svg class="key" viewBox="0 0 24 10" aria-hidden="true">
      <rect class={is} x="1" y="1" width="22" height="8" />
    </svg>
  )
}

function aboutVirtual(people: VirtualPeople | undefined): string {
  if (people === undefined) return t('indices.virtualNobody')
  const { sex, count, fromYears: from, toYears: to } = people
  const who = t(sex === undefined ? 'indices.virtualEverybody' : 'indices.virtualAlike', {
    count: number(count),
    from,
    to,
  })
  return `${who} ${t('indices.virtualMeaning')}`
}

/** Names the indices to which a reason applies, if it does not apply to the whole group. */
function whose(
  reason: NoRange,
  members: readonly IndexEstimate[],
  ranges: ReadonlyMap<string, ReferenceRange | NoRange | undefined>,
): string {
  const of = members.filter(({ id }) => ranges.get(id) === reason)
  const isOfPerson = reason !== 'not-checked' && reason !== 'methods-differ'
  return isOfPerson || of.length === members.length
    ? ''
    : ` (${of.map(({ id, name }) => wordOr(name, 'index', id)).join(', ')})`
}

/** Scale of an index: its own interval and the normal range, with a margin on both sides. */
function spanOf({ low, high }: IndexEstimate, range: ReferenceRange | undefined): readonly [number, number] {
  const [from, to] = [Math.min(low, range?.low ?? low), Math.max(high, range?.high ?? high)]
  const room = (to - from) * 0.15
  return [from - room, to + room]
}

/** Correlation with the truth, as a grade. */
const reliability = (correlation: number) =>
  correlation >= 0.7 ? 'good' : correlation >= 0.5 ? 'fair' : correlation >= 0.3 ? 'weak' : 'none'

interface RowProps {
  readonly index: IndexEstimate
  readonly range: ReferenceRange | NoRange | undefined
  /** Whose range is shown where there is no normal one. */
  readonly virtual: VirtualPeople | undefined
}

function Row({ index, range: known, virtual }: RowProps) {
  const normal = typeof known === 'object' ? known : undefined
  const range = normal ?? virtual?.rangeOf(index.id)
  const kind = normal === undefined ? 'virtual' : 'normal'
  const [from, to] = spanOf(index, range)
  const { name, value, unit, low, high, correlation, evidence, id } = index
  const at = (x: number) => (100 * (x - from)) / (to - from)
  const worth = reliability(correlation)
  return (
    <tr class={worth} data-index={id}>
      <th scope="row" title={wordOr(name, 'index', id)}>
        {segmentName(id) ?? wordOr(name, 'index', id)}
      </th>
      <td class="num right">
        <span class="about">≈</span> {estimate(value)} <small>{unitText(unit)}</small>
      </td>
      <td class="interval" title={`90%: ${span(low, high)} ${unitText(unit)}`}>
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          {range !== undefined && (
            <rect class={kind} x={at(range.low)} y="0.5" width={at(range.high) - at(range.low)} height="9" />
          )}
          <rect x={at(low)} y="4" width={at(high) - at(low)} height="2" />
          <rect class="value" x={at(value) - 1} y="1.5" width="2" height="7" />
        </svg>
        <span class="num range">{span(low, high)}</span>
        {range !== undefined && (
          <span class={`num range ${kind}`} title={kind === 'virtual' ? t('indices.virtualTitle') : undefined}>
            {t(`indices.${kind}`, { range: span(range.low, range.high) })}
            {kind === 'virtual' && <span class="sr"> ({t('indices.virtualTitle')})</span>}
          </span>
        )}
      </td>
      <td class="right">
        <span class={`worth ${worth}`} title={`${word('worth', worth)}; ${word('evidenceHint', evidence)}`}>
          <span class="num">r {number(correlation, 2)}</span>
        </span>
      </td>
    </tr>
  )
}
