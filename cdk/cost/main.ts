/**
 * `npm run cost -- --site hospital --devices 500`: monthly cost of a site, from its template, measured times and list prices.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError, Option } from 'commander'
import { readSite } from '../site.ts'
import { estimate } from './estimate.ts'
import { sum } from './marginal.ts'
import { readMeasured } from './measured.ts'
import { withReports } from './page.ts'
import { PRICES_DATE, REGIONS } from './prices.ts'
import { costReport, type Subject } from './report.ts'
import { resourcesOf } from './synthesized.ts'

const PAGES = ['cost.md', 'scale.md'].map((name) => join(import.meta.dirname, '../../docs', name))

interface Options {
  readonly site: string
  readonly devices?: number
  readonly hours: number
  readonly json?: boolean
  readonly docs?: boolean
}

const above = (text: string): number => {
  const value = Number(text)
  if (value > 0) return value
  throw new InvalidArgumentError('a number above 0')
}

const options = new Command('npm run cost --')
  .description('The monthly cost of a site in AWS, by service, from its template, measured times and list prices.')
  .option('--site <name|file>', 'an example of cdk/sites, or a file', 'hospital')
  .option('--devices <n>', 'live devices (default: the site’s number)', above)
  .option('--hours <n>', 'hours per day that each device streams', above, 24)
  .addOption(new Option('--region <region>', 'the region of the prices').choices([...REGIONS]).default(REGIONS[0]))
  .option('--json', 'one JSON document on stdout')
  .option('--docs', 'update the tables of docs/cost.md and docs/scale.md instead')
  .parse()
  .opts<Options>()

if (options.docs) for (const page of PAGES) writeFileSync(page, withReports(readFileSync(page, 'utf8')))
else print(options)

function print({ site: name, devices, hours, json }: Options): void {
  const site = readSite(name)
  const usage = { devices: devices ?? site.deployment.devices, hoursADay: hours }
  const subject: Subject = { name, site, resources: resourcesOf(site), usage, measured: readMeasured() }
  if (!json) {
    console.log(costReport(subject))
    return
  }
  const figures = estimate(site, subject.resources, usage, subject.measured)
  const usdPerMillionWindows = {
    adapterPath: sum(figures.perMillion),
    ...(site.ehr && { withEhr: sum(figures.perMillion) + sum(figures.ehrPerMillion) }),
  }
  console.log(JSON.stringify({ site: name, usage, pricesOf: PRICES_DATE, usdPerMillionWindows, ...figures }, null, 2))
}
