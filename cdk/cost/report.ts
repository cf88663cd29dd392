/**
 * An estimate as Markdown: printed by `npm run cost`, and contained in docs/cost.md.
 * @module
 */

import type { SiteConfig } from '../../shared/config/site.ts'
import { type Estimate, estimate, memorySensitivity, pathOf, type Usage } from './estimate.ts'
import type { Resources } from './fixed.ts'
import { type Parts, sum } from './marginal.ts'
import type { Measured } from './measured.ts'
import { PRICES, PRICES_DATE } from './prices.ts'

/** Budget of DESIGN section 7, USD per million windows. */
const BUDGET = 10

const MEMORY_MB = [512, 1024, 1769, 3008]
const HOURS_A_DAY = [1, 8, 24]

export interface Subject {
  readonly name: string
  readonly site: SiteConfig
  readonly resources: Resources
  readonly usage: Usage
  readonly measured: Measured
}

export function costReport({ name, site, resources, usage, measured }: Subject): string {
  const of = (changed: Partial<Usage> = {}) => estimate(site, resources, { ...usage, ...changed }, measured)
  const now = of()
  const path = pathOf(resources, measured)
  const { windowsM } = now
  const gatewayUsd = sum(now.gateway)
  const fixedUsd = now.fixed.reduce((usd, line) => usd + line.usd, 0)
  const detail = (parts: Parts) => Object.entries(parts).map(([part, usd]) => [`– ${part}`, dollars(usd)])
  const monthly = [
    [`**windows**, ${windowsM.toFixed(1)} million`, strong(now.windows)],
    ...detail(scaled(now.perMillion, windowsM)),
    ...section('EHR', now.ehr, scaled(now.ehrPerMillion, windowsM)),
    ...section('device gateway', gatewayUsd, now.gateway),
    ...section('storage, per month of retention', sum(now.storage), now.storage),
    ['**fixed**', strong(fixedUsd)],
    ...now.fixed.map((line) => [`– ${line.count} ${line.name}`, dollars(line.usd)]),
    ['**sum**', strong(now.total)],
  ]
  const perMillion = [
    ...Object.entries(now.perMillion).map(([part, usd]) => [part, usd.toFixed(2)]),
    [`**adapter path** (budget ${BUDGET})`, `**${sum(now.perMillion).toFixed(2)}**`],
    ...Object.entries(now.ehrPerMillion).map(([part, usd]) => [part, usd.toFixed(2)]),
    ...(site.ehr === undefined ? [] : [withEhr(now)]),
  ]
  return [
    `**${name}**: ${usage.devices} devices, ${usage.hoursADay} hours per day. List prices: us-east-1, ${PRICES_DATE}.\nTimes and sizes: ${measured.date}, bundle ${measured.bundle}, ${measured.machine}.`,
    table(['per month', 'USD'], monthly),
    table(['per million windows', 'USD'], perMillion),
    table(
      ['memory of preprocess and screen', 'arm64, USD per million', 'x64, USD per million'],
      memorySensitivity(path, MEMORY_MB).map(({ memoryMb, arm64, x64 }) => [
        `${memoryMb} MB`,
        arm64.toFixed(2),
        x64.toFixed(2),
      ]),
    ),
    table(
      ['hours per day', 'million windows', 'sum, USD per month'],
      HOURS_A_DAY.map((hoursADay) => {
        const { windowsM: millions, total } = of({ hoursADay })
        return [String(hoursADay), millions.toFixed(1), dollars(total)]
      }),
    ),
    [
      site.deployment.synthesis === 'off'
        ? []
        : [
            `Cines: ${PRICES.gpuHour} USD per GPU hour (g6.xlarge on demand; spot is less). The time per cine on a GPU is not measured, so the sum has none.`,
          ],
      now.unpriced.length === 0 ? [] : [`Without a price here: ${now.unpriced.join(', ')}.`],
    ]
      .flat()
      .join(' '),
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

function withEhr({ perMillion, ehrPerMillion }: Estimate): readonly string[] {
  return ['**adapter path with an EHR**', `**${(sum(perMillion) + sum(ehrPerMillion)).toFixed(2)}**`]
}

function section(name: string, usd: number, parts: Parts): string[][] {
  return usd === 0
    ? []
    : [[`**${name}**`, strong(usd)], ...Object.entries(parts).map(([part, each]) => [`– ${part}`, dollars(each)])]
}

const scaled = (parts: Parts, by: number): Parts =>
  Object.fromEntries(Object.entries(parts).map(([part, usd]) => [part, usd * by]))

const dollars = (usd: number) => (usd >= 100 ? Math.round(usd).toLocaleString('en-US') : usd.toFixed(2))
const strong = (usd: number) => `**${dollars(usd)}**`

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const isFigures = (column: number) => rows.every((cells) => /^[*\d.,]+$/.test(cells[column]!))
  return [line(head), line(head.map((_, column) => (isFigures(column) ? '---:' : '---'))), ...rows.map(line)].join('\n')
}
