/**
 * A page with generated tables: between `<!-- cost SITE DEVICES -->` and `<!-- end -->` stands what the command prints.
 * @module
 */
import { readMeasured } from '../../functions/cli/bench/measured.ts'
import { readSite } from '../site.ts'
import { costReport } from './report.ts'
import { resourcesOf } from './synthesized.ts'

const PLACE = /(<!-- cost (\S+) (\d+) -->\n)[\s\S]*?(<!-- end -->)/g

export function withReports(page: string): string {
  return page.replace(PLACE, (_, begin: string, name: string, devices: string, end: string) => {
    const site = readSite(name)
    const usage = { devices: Number(devices), hoursADay: 24 }
    const report = costReport({ name, site, resources: resourcesOf(site), usage, measured: readMeasured() })
    return `${begin}\n${report}\n\n${end}`
  })
}
