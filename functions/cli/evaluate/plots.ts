/**
 * ROC curves and calibration plots as SVG, one panel per condition.
 * @module
 */
import type { CalibrationBin, CalibrationFigures, RocPoint } from './metrics.ts'
import type { ConditionReport, Report } from './report.ts'
import type { SiteFit } from './site-fit.ts'

/** Pixels: a panel's plot, and the margins around it. */
const SIDE = 220
const MARGIN = { left: 58, top: 58, right: 22, bottom: 66 } as const
const PANEL = { width: MARGIN.left + SIDE + MARGIN.right, height: MARGIN.top + SIDE + MARGIN.bottom } as const

const INK = '#1f2933'
const FAINT = '#cbd2d9'
const SERVED = '#1f5fa8'
const FITTED = '#c2410c'

type Figures = NonNullable<ConditionReport['figures']>

interface Panel {
  readonly condition: ConditionReport
  readonly figures: Figures
}

/** ROC curves with both operating points; `undefined` when no condition has figures. */
export function rocSvg(report: Report): string | undefined {
  return sheet(report, 'ROC', -12, ({ condition, figures }) => {
    const { auroc, roc, thresholds } = figures
    const ci = auroc.ci === null ? '' : ` (${auroc.ci[0].toFixed(2)} to ${auroc.ci[1].toFixed(2)})`
    const corners = thin([{ sensitivity: 0, specificity: 1 }, ...roc])
    const path = corners.map((point) => `${x(1 - point.specificity)},${y(point.sensitivity)}`).join(' ')
    return [
      frame(1, '1 − specificity', 'sensitivity'),
      `<polyline points="${path}" fill="none" stroke="${SERVED}" stroke-width="1.8"/>`,
      ...(['youden', 'sensitivity90'] as const).map((rule) => {
        const { sensitivity, specificity } = thresholds[rule]
        const fill = rule === condition.operatingPoint ? SERVED : 'white'
        return `<circle cx="${x(1 - specificity.value)}" cy="${y(sensitivity.value)}" r="4.5" fill="${fill}" stroke="${SERVED}" stroke-width="1.5"/>`
      }),
      text(x(0.97), y(0.1), `AUROC ${auroc.value.toFixed(3)}${ci}`, 'end', 11),
      text(x(0.97), y(0.03), '● threshold in use  ○ the other', 'end', 9),
    ]
  })
}

/** Observed share against probability in bins of equal size: as served and, where fitted, with the site calibration. */
export function calibrationSvg(report: Report): string | undefined {
  return sheet(report, 'calibration', -40, ({ condition, figures }) => {
    const { bins, brier, ece } = figures.calibration
    const { site } = condition
    const after = 'fitted' in site && site.fitted.method !== 'none' ? site.crossValidated : undefined
    const all = [...bins, ...(after?.bins ?? [])]
    const top = Math.max(...all.flatMap(({ predicted, observed }) => [predicted, observed]))
    const limit = [0.05, 0.1, 0.2, 0.5].find((end) => top <= end) ?? 1
    return [
      frame(limit, 'probability', 'share with the condition'),
      ...drawBins(bins, limit, SERVED, -1.5),
      ...(after === undefined ? [] : drawBins(after.bins, limit, FITTED, 1.5)),
      text(0, -24, `as served: Brier ${brier.toFixed(3)}, ECE ${ece.toFixed(3)}`, 'start', 10, SERVED),
      text(0, -10, after === undefined ? uncorrected(site) : corrected(after), 'start', 10, FITTED),
    ]
  })
}

const corrected = ({ brier, ece }: CalibrationFigures) =>
  `site calibration, left-out people: ${brier.toFixed(3)}, ${ece.toFixed(3)}`

const uncorrected = (site: SiteFit) =>
  'fitted' in site ? 'site calibration: left as it is' : `no site calibration: ${site.refused.replaceAll('-', ' ')}`

function drawBins(bins: readonly CalibrationBin[], limit: number, colour: string, aside: number): string[] {
  const place = (share: number) => Math.min(share, limit) / limit
  const at = (bin: CalibrationBin) => x(place(bin.predicted)) + aside
  const line = bins.map((bin) => `${at(bin).toFixed(1)},${y(place(bin.observed))}`).join(' ')
  return [
    `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="1" stroke-opacity="0.5"/>`,
    ...bins.map((bin) => {
      const [low, high] = bin.ci.map((share) => y(place(share)))
      const middle = at(bin).toFixed(1)
      return `<path d="M${middle} ${low}V${high}" stroke="${colour}" stroke-width="1.2"/><circle cx="${middle}" cy="${y(place(bin.observed))}" r="3" fill="${colour}"/>`
    }),
  ]
}

function sheet(report: Report, what: string, heading: number, draw: (panel: Panel) => string[]): string | undefined {
  const panels = report.conditions.flatMap((condition) =>
    condition.figures === undefined ? [] : [{ condition, figures: condition.figures }],
  )
  if (panels.length === 0) return undefined
  const columns = Math.min(3, panels.length)
  const width = columns * PANEL.width
  const height = Math.ceil(panels.length / columns) * PANEL.height + 24
  const drawn = panels.map((panel, place) => {
    const { name, n, positives, evidence } = panel.condition
    const left = (place % columns) * PANEL.width + MARGIN.left
    const top = Math.floor(place / columns) * PANEL.height + MARGIN.top
    return [
      `<g transform="translate(${left} ${top})">`,
      text(0, heading, name, 'start', 13, INK, 'bold'),
      ...draw(panel),
      text(SIDE / 2, SIDE + 48, `${n} ECGs, ${positives} positive; learned from ${evidence}`, 'middle', 10),
      '</g>',
    ].join('\n')
  })
  const title = `${report.modelBundle}, ${what}. ${report.notice}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...drawn,
    text(12, height - 10, title, 'start', 10, '#52606d'),
    '</svg>',
    '',
  ].join('\n')
}

/** Axes from 0 to `limit`, and the diagonal. */
function frame(limit: number, xLabel: string, yLabel: string): string {
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => {
    const label = String(Number((share * limit).toPrecision(3)))
    return [
      `<path d="M${x(share)} ${y(0)}V${y(1)}M${x(0)} ${y(share)}H${x(1)}" stroke="${FAINT}" stroke-width="0.5"/>`,
      text(x(share), SIDE + 15, label, 'middle', 9),
      text(-6, y(share) + 3, label, 'end', 9),
    ]
  })
  return [
    ...ticks,
    `<path d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}" stroke="${INK}" stroke-width="0.8" stroke-dasharray="3 3"/>`,
    `<rect width="${SIDE}" height="${SIDE}" fill="none" stroke="${INK}" stroke-width="0.8"/>`,
    text(SIDE / 2, SIDE + 31, xLabel, 'middle', 10),
    `<g transform="translate(-38 ${SIDE / 2}) rotate(-90)">${text(0, 0, yLabel, 'middle', 10)}</g>`,
  ].join('\n')
}

/**
 * Keeps the ends of a curve and the points that move it by more than a third of a pixel, so that a large cohort draws no more points than
 * needed.
 */
function thin(points: readonly Pick<RocPoint, 'sensitivity' | 'specificity'>[]) {
  const kept = [points[0]!]
  for (const [place, point] of points.entries()) {
    const last = kept.at(-1)!
    const moved =
      Math.abs(point.sensitivity - last.sensitivity) + Math.abs(point.specificity - last.specificity) > 1 / (3 * SIDE)
    if (moved || place === points.length - 1) kept.push(point)
  }
  return kept
}

const x = (share: number) => Number((SIDE * share).toFixed(1))
const y = (share: number) => Number((SIDE * (1 - share)).toFixed(1))

function text(left: number, top: number, words: string, anchor: string, size: number, colour = INK, weight = 'normal') {
  return `<text x="${left}" y="${top}" text-anchor="${anchor}" font-size="${size}" fill="${colour}" font-weight="${weight}">${escapeXml(words)}</text>`
}

const escapeXml = (words: string) => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
