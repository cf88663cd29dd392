/**
 * Bull's-eye plot of the left ventricle in AHA segments (Cerqueira et al. 2002, Circulation 105:539). It has 16 segments: the apex itself
 * is not estimated.
 * @module
 */
import type { IndexEstimate } from '../../../shared/domain/result.ts'
import { t, wordOr } from '../i18n/index.ts'
import { number as digits, estimate, range } from '../ui/format.ts'

/**
 * Rings from the base inwards: number of segments, start of the first (anterior) one in degrees anticlockwise from three o'clock, and
 * radii.
 */
const RINGS = [
  { count: 6, start: 60, outer: 98, inner: 70 },
  { count: 6, start: 60, outer: 70, inner: 42 },
  { count: 4, start: 45, outer: 42, inner: 16 },
] as const

interface BullsEyeProps {
  readonly segments: readonly IndexEstimate[]
  readonly global: IndexEstimate
}

export function BullsEye({ segments, global }: BullsEyeProps) {
  // By size: a strain of −24% is stronger than one of −17%.
  const values = segments.map(({ value }) => value).toSorted((a, b) => Math.abs(a) - Math.abs(b))
  const [least = 0, greatest = 0] = [values[0], values.at(-1)]
  const worded = (value: number) => `${estimate(value)} ${global.unit}`
  let next = 0
  const places = RINGS.flatMap(({ count, start, outer, inner }) =>
    Array.from({ length: count }, (_, i) => ({
      number: next + 1,
      segment: segments[next++]!,
      from: start + (i * 360) / count,
      to: start + ((i + 1) * 360) / count,
      outer,
      inner,
    })),
  )
  return (
    <figure class="bulls-eye">
      <svg viewBox="-100 -100 200 200" role="img" aria-label={t('bullsEye.label')}>
        {places.map(({ number, segment, from, to, outer, inner }) => {
          const [middle, radius] = [(from + to) / 2, (outer + inner) / 2]
          const share =
            greatest === least
              ? 0.5
              : (Math.abs(segment.value) - Math.abs(least)) / (Math.abs(greatest) - Math.abs(least))
          const [x, y] = polar(radius, middle)
          return (
            <g key={number} data-segment={number}>
              <path d={ring(from, to, inner, outer)} fill-opacity={0.1 + 0.55 * share} />
              <text x={x} y={y - 3} class="number">
                {number}
              </text>
              <text x={x} y={y + 9}>
                {digits(segment.value, Math.abs(segment.value) < 10 ? 1 : 0)}
              </text>
              <title>{`${wordOr(segment.name, 'index', segment.id)}: ${estimate(segment.value)} ${segment.unit} (${range(segment.low, segment.high)}), r ${segment.correlation.toFixed(2)}`}</title>
            </g>
          )
        })}
        <circle r="16" class="tip" />
        <text y="3" class="number">
          17
        </text>
      </svg>
      <figcaption>
        {t('bullsEye.caption', { global: worded(global.value), least: worded(least), greatest: worded(greatest) })}{' '}
        {t('bullsEye.noTip')}
      </figcaption>
    </figure>
  )
}

function polar(radius: number, degrees: number): readonly [number, number] {
  const angle = (degrees * Math.PI) / 180
  return [radius * Math.cos(angle), -radius * Math.sin(angle)]
}

function ring(from: number, to: number, inner: number, outer: number): string {
  const point = (radius: number, degrees: number) =>
    polar(radius, degrees)
      .map((each) => each.toFixed(2))
      .join(' ')
  return [
    `M${point(outer, from)}`,
    `A${outer} ${outer} 0 0 0 ${point(outer, to)}`,
    `L${point(inner, to)}`,
    `A${inner} ${inner} 0 0 1 ${point(inner, from)}`,
    'Z',
  ].join('')
}
