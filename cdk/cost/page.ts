/**
 * Pages with generated tables: the command's output is placed between `<!-- cost SITE DEVICES -->` or `<!-- scale DEVICES -->` and `<!--
 * end -->`.
 * @module
 */

import { readSite } from '../site.ts'
import { readMeasured } from './measured.ts'
import { costReport } from './report.ts'
import { scaleReport } from './scale.ts'
import { resourcesOf } from './synthesized.ts'

const COST = /(<!-- cost (\S+) (\d+) -->\n)[\s\S]*?(<!-- end -->)/g
const SCALE = /(<!-- scale (\d+) -->\n)[\s\S]*?(<!-- end -->)/g

export function withReports(page: string): string {
  const withScale = page.replace(
    SCALE,
    (_, begin: string, devices: string, end: string) => `${begin}\n${scaleReport(Number(devices))}\n\n${end}`,
  )
  return withScale.replace(COST, (_, begin: string, name: string, devices: string, end: string) => {
    const site = readSite(name)
    const usage = { devices: Number(devices), hoursADay: 24 }
    const report = costReport({ name, site, resources: resourcesOf(site), usage, measured: readMeasured() })
    return `${begin}\n${report}\n\n${end}`
  })
}
