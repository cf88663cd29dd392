/**
 * `cardiacnets evaluate`: performance of the bundle on a site's own labelled ECGs, and a calibration for that site.
 * @module
 */
import { join } from 'node:path'
import { Command } from 'commander'
import { SITE_FILE } from '../../../shared/inference/site-calibration.ts'
import { type FileOptions, readOptions, takeFileOptions } from '../file-options.ts'
import { type ModelOptions, readModel, takeModelOptions } from '../model-options.ts'
import { EXIT, progress, reportError } from '../output.ts'
import { readCohort } from './cohort.ts'
import { describeReport } from './describe.ts'
import { evaluateCohort, writeReport, writeSite } from './evaluation.ts'

interface EvaluateOptions extends FileOptions, ModelOptions {
  readonly out?: string
  readonly json?: boolean
  readonly person: boolean
}

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('evaluate the model bundle on your own labelled ECGs and write a site calibration')
    .argument(
      '<cohort>',
      'CSV with the column file, any of cad, cm, pericarditis, hf, ph (1, 0 or empty), and optionally person, sex, age',
    )
    .option('--out <directory>', `write report.json, roc.svg, calibration.svg and ${SITE_FILE}`)
    .option('--json', 'print the report as one JSON document')
    .option('--no-person', 'screen without sex and age')
  return takeModelOptions(takeFileOptions(command)).action(async (cohort: string, options: EvaluateOptions) => {
    process.exitCode = await evaluate(cohort, options)
  })
}

/** @returns exit code: 0 when at least one ECG was screened; refused and failed ECGs are counted in the report */
async function evaluate(path: string, { prevalence = {}, out, ...options }: EvaluateOptions): Promise<number> {
  const cohort = await readCohort(path)
  if (cohort.ignored.length > 0) process.stderr.write(`columns not used: ${cohort.ignored.join(', ')}\n`)
  const { bundle, site } = await readModel(options)
  const bar = progress(cohort.rows.length, 'screening')
  let failed: number = EXIT.ok
  const report = await evaluateCohort(cohort, bundle, site, {
    read: readOptions(options),
    person: options.person,
    onRow: () => bar.step(),
    onError: (error, file) => {
      const exitCode = reportError(error, file)
      failed ||= exitCode
    },
  })
  bar.stop()
  const print = (text: string) => process.stdout.write(`${text}\n`)

  // The report is valid even when a base rate cannot be corrected, so the site calibration is written after it.
  const written = out === undefined ? [] : await writeReport(report, out)
  print(options.json ? JSON.stringify(report, null, 2) : describeReport(report))
  if (out !== undefined) {
    written.push(...(await writeSite(report, bundle, prevalence, out)))
    const next = written.includes(SITE_FILE)
      ? `To screen with it from now on: npm run cli -- models use ${bundle.directory} --site ${join(out, SITE_FILE)}`
      : `No ${SITE_FILE}: there was nothing to fit and no base rate was stated.`
    if (!options.json) print(`Written to ${out}: ${written.join(', ')}.\n${next}`)
  }
  return report.cohort.screened > 0 ? EXIT.ok : failed || EXIT.refused
}
