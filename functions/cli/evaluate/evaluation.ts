/**
 * Evaluates a cohort and writes the files of `evaluate --out`.
 * @module
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import {
  type Prevalences,
  parseSite,
  SITE_FILE,
  type Site,
  siteText,
  withPrevalences,
} from '../../../shared/inference/site-calibration.ts'
import { codeVersion } from '../../../shared/version.ts'
import type { Cohort } from './cohort.ts'
import { calibrationSvg, rocSvg } from './plots.ts'
import { type Report, reportOf, siteOf } from './report.ts'
import { type CohortScreeningOptions, screenCohort } from './screening.ts'

/** Screens a cohort with a bundle, and a site calibration if there is one, and computes the figures. */
export async function evaluateCohort(
  cohort: Cohort,
  bundle: Bundle,
  site: Site | undefined,
  options: CohortScreeningOptions,
): Promise<Report> {
  const screener = await Screener.load(bundle, site)
  const outcomes = await screenCohort(screener, cohort, options)
  await screener.release()
  return reportOf(cohort, outcomes, bundle, site, codeVersion())
}

/** Writes the report and its plots. Returns the names of the files. */
export function writeReport(report: Report, out: string): Promise<string[]> {
  return writeFiles(out, {
    'report.json': `${JSON.stringify(report, null, 2)}\n`,
    'roc.svg': rocSvg(report),
    'calibration.svg': calibrationSvg(report),
  })
}

/**
 * Writes the site calibration with the stated base rates, if it has any content. Returns the names of the files.
 * @throws CodedError `prevalence-unknown`
 */
export function writeSite(report: Report, bundle: Bundle, prevalences: Prevalences, out: string): Promise<string[]> {
  const calibration = siteOf(report)
  const fitted = calibration && parseSite(siteText(calibration), bundle)
  const isStated = Object.keys(prevalences).length > 0
  const site = isStated ? withPrevalences(bundle, prevalences, fitted) : fitted
  return writeFiles(out, { [SITE_FILE]: site?.text })
}

/** Writes the files with content, and removes the others that an earlier run left. */
async function writeFiles(out: string, files: Readonly<Record<string, string | undefined>>): Promise<string[]> {
  await mkdir(out, { recursive: true })
  const written: string[] = []
  for (const [name, content] of Object.entries(files)) {
    if (content === undefined) {
      await rm(join(out, name), { force: true })
      continue
    }
    await writeFile(join(out, name), content)
    written.push(name)
  }
  return written
}
