import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readCohort } from '../../../../functions/cli/evaluate/cohort.ts'
import { describeReport } from '../../../../functions/cli/evaluate/describe.ts'
import { evaluateCohort, writeReport, writeSite } from '../../../../functions/cli/evaluate/evaluation.ts'
import { readModel } from '../../../../functions/cli/model-options.ts'
import { toCodedError } from '../../../../shared/errors.ts'
import { SHIPPED_BUNDLE } from '../../../../shared/inference/active-bundle.ts'
import { dataPath, hasData, headersIn, NO_DATA } from '../../../helpers/data-folder.ts'
import { syntheticRecording } from '../../../helpers/recordings.ts'
import { writeWfdb } from '../../../helpers/wfdb-writer.ts'

const CLI = resolve(import.meta.dirname, '../../../../functions/cli/main.ts')

let folder: string
/** 24 people, their report as the shipped bundle gives it, and what could not be read. */
let cohort: string
let evaluated: Awaited<ReturnType<typeof evaluate>>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-evaluate-'))
  cohort = await writeCohort(24)
  evaluated = await evaluate(cohort)
}, 120_000)

afterAll(() => rm(folder, { recursive: true }))

/** ECGs of people with increasing heart rates, half of them labelled positive; one too short, one missing. */
async function writeCohort(people: number): Promise<string> {
  const rows = ['file,person,sex,age,hf,cad']
  for (let i = 0; i < people; i++) {
    const files = writeWfdb(syntheticRecording({ heartRateBpm: 55 + i, gainUv: 1 + i / 40, leads: ['I', 'II', 'V2'] }))
    for (const { name, bytes } of files) {
      const content = name.endsWith('.hea') ? bytes.toString().replaceAll('record', `ecg${i}`) : bytes
      await writeFile(join(folder, name.replace('record', `ecg${i}`)), content)
    }
    rows.push(`ecg${i}.hea,p${i},${i % 3 === 0 ? 'female' : 'male'},${30 + i},${i % 2},${i < 4 ? 1 : ''}`)
  }
  await writeFile(join(folder, 'short.csv'), '# rate: 500\n# unit: mV\nI,II\n1,2\n3,4\n')
  rows.push('short.csv,p1,,,1,', 'nowhere.hea,,,,0,1')
  await writeFile(join(folder, 'cohort.csv'), rows.join('\n'))
  return join(folder, 'cohort.csv')
}

/** What `cardiacnets evaluate COHORT [--site FILE]` does, without its terminal. */
async function evaluate(cohort: string, site: string | false = false) {
  const model = await readModel({ model: SHIPPED_BUNDLE, site })
  const errors: string[] = []
  const report = await evaluateCohort(await readCohort(cohort), model.bundle, model.site, {
    person: true,
    onRow() {},
    onError: (error, file) => errors.push(`${basename(file)} ${toCodedError(error).code}`),
  })
  return { report, bundle: model.bundle, errors }
}

describe('evaluateCohort', () => {
  it('counts screened, refused and unreadable ECGs', () => {
    const { report, errors } = evaluated

    expect(errors).toEqual(['nowhere.hea file-not-found'])
    expect(report.cohort).toEqual({
      ecgs: 26,
      people: 25,
      screened: 24,
      refused: { 'too-short': 1 },
      failed: { 'file-not-found': 1 },
    })
    expect(describeReport(report)).toContain('24 screened, 1 refused (too-short 1), 1 failed (file-not-found 1)')
  })

  it('measures each condition with positives and negatives, and counts unscreened positives', () => {
    const [cad, hf] = evaluated.report.conditions

    expect(hf).toMatchObject({ id: 'hf', n: 24, positives: 12, unscreened: { n: 2, positives: 1 } })
    expect(hf!.figures!.auroc.ci).toHaveLength(2)
    expect(hf!.subgroups.map(({ name, n }) => [name, n])).toEqual([
      ['female', 8],
      ['male', 16],
      ['under 50', 20],
      ['50 to 64', 4],
    ])
    expect(cad).toMatchObject({ n: 4, positives: 4, unscreened: { n: 1, positives: 1 } })
    expect(cad).not.toHaveProperty('figures')
  })

  it('calibrates conditions with at least ten people of each kind, and reports the others as too few', async () => {
    const out = join(folder, 'report')
    const { report, bundle } = evaluated

    const written = [...(await writeReport(report, out)), ...(await writeSite(report, bundle, {}, out))]

    expect(written.sort()).toEqual(['calibration.svg', 'report.json', 'roc.svg', 'site-calibration.json'])
    expect(await readFile(join(out, 'report.json'), 'utf8')).not.toMatch(/ecg1|nowhere|"p1"/)
    const site = JSON.parse(await readFile(join(out, 'site-calibration.json'), 'utf8'))
    expect(site).toMatchObject({ modelSha256: bundle.sha256, conditions: [{ id: 'hf', n: 24, positives: 12 }] })
    expect(site.conditions).toHaveLength(1)
    expect(describeReport(report)).toContain('4 people with the condition, and 10 are needed')
  })

  it('measures the service’s results under a site calibration', { timeout: 120_000 }, async () => {
    const out = join(folder, 'applied')
    const { report: before, bundle } = evaluated
    await writeSite(before, bundle, {}, out)

    const { report: after } = await evaluate(cohort, join(out, 'site-calibration.json'))

    const [hfBefore, hfAfter] = [before.conditions[1]!, after.conditions[1]!]
    if (!('fitted' in hfBefore.site)) throw new Error(hfBefore.site.refused)
    expect(after.site).toMatch(/^[0-9a-f]{64}$/)
    expect(hfAfter.figures!.thresholds.youden.threshold).toBe(hfBefore.site.fitted.thresholds.youden)
    expect(hfAfter.figures!.auroc.value).toBeCloseTo(hfBefore.figures!.auroc.value, 6)
    expect(hfAfter.site).toEqual(hfBefore.site)
  })

  it('writes no site calibration for too few people, and removes an older one', {
    timeout: 120_000,
  }, async () => {
    const out = join(folder, 'few')
    await mkdir(out)
    await writeFile(join(out, 'site-calibration.json'), '{}')
    const few = join(folder, 'few.csv')
    await writeFile(few, (await readFile(cohort, 'utf8')).split('\n').slice(0, 13).join('\n'))
    const { report, bundle } = await evaluate(few)

    const written = await writeSite(report, bundle, {}, out)

    expect(written).toEqual([])
    expect(await readdir(out)).toEqual([])
  })
})

describe('cardiacnets evaluate', () => {
  it('refuses a calibration made for another bundle', { timeout: 120_000 }, async () => {
    const wrong = join(folder, 'wrong.json')
    const sha = 'a'.repeat(64)
    await writeFile(wrong, JSON.stringify({ schema: 1, modelBundle: 'x@1', modelSha256: sha, conditions: [] }))

    const { code, stdout, stderr } = await cli('models', 'use', SHIPPED_BUNDLE, '--site', wrong)

    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('calibration-mismatch')
  })
})

describe.skipIf(!hasData)(`cardiacnets evaluate on real ECGs${NO_DATA}`, () => {
  it('evaluates PTB-XL records on their labels', { timeout: 240_000 }, async () => {
    const labels = await readFile(dataPath('ptbxl100', 'ptbxl_labels.csv'), 'utf8')
    // Columns MI and sex hold no commas before them.
    const infarcted = new Map(labels.split('\n').map((line) => [line.split(',')[0], line.split(',')[5]]))
    const rows = headersIn('ptbxl500').map((file) => {
      const id = String(Number.parseInt(basename(file), 10))
      return `${file},${infarcted.get(id) ?? ''}`
    })
    await writeFile(join(folder, 'real.csv'), ['file,cad', ...rows].join('\n'))

    const { code, stdout } = await cli('evaluate', join(folder, 'real.csv'), '--json')

    // Tests that it runs, not its accuracy: the model may have been trained on these people.
    const report = JSON.parse(stdout)
    expect(code).toBe(0)
    expect(report.cohort.ecgs).toBe(85)
    expect(report.cohort.screened).toBeGreaterThan(80)
    expect(report.conditions[0].n).toBeGreaterThan(40)
    expect(report.conditions[0].figures.auroc.value).toBeGreaterThan(0.5)
  })
})

function cli(...args: readonly string[]) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    execFile(process.execPath, [CLI, ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}
