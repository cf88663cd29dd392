/**
 * `npm run -s trace -- RESULTS.json`: writes docs/regulatory/trace.md and model-card-chai.md. RESULTS.json is what
 * `npx vitest run --reporter=json --outputFile=RESULTS.json` wrote.
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { Command } from 'commander'

const ROOT = resolve(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'docs/regulatory')

export interface Requirement {
  readonly id: string
  readonly text: string
  readonly risks: readonly string[]
  /** Test file, and how the names of its tests begin. */
  readonly tests: readonly (readonly [file: string, name: string])[]
}

interface Results {
  readonly startTime: number
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

export function readRequirements(): readonly Requirement[] {
  return JSON.parse(readFileSync(join(FOLDER, 'requirements.json'), 'utf8')) as readonly Requirement[] // our own file
}

/** One item per requirement, with one per group of tests. */
export function traceMatrix(requirements: readonly Requirement[], results: Results): string {
  const tests = results.testResults.flatMap(({ name, assertionResults }) => {
    const file = name.slice(name.lastIndexOf('/test/') + 1)
    return assertionResults.map(({ fullName, status }) => ({ file, fullName, status }))
  })
  const rows = requirements.flatMap(({ id, text, risks, tests: groups }) => [
    `- **${id}** (${risks.join(', ')}): ${text}`,
    ...groups.map(([file, begin]) => {
      const found = tests.filter((test) => test.file === file && test.fullName.startsWith(begin))
      const count = (status: string) => found.filter((test) => test.status === status).length
      const [passed, failed] = [count('passed'), count('failed')]
      const skipped = found.length - passed - failed
      const parts = [
        `${passed} passed`,
        ...(failed > 0 ? [`**${failed} failed**`] : []),
        ...(skipped > 0 ? [`${skipped} skipped`] : []),
      ]
      const result = found.length === 0 ? '**not run**' : parts.join(', ')
      return `  - [${file}](../../${file}), "${begin} …": ${result}`
    }),
  ])
  const day = new Date(results.startTime).toISOString().slice(0, 10)
  return [
    '# Trace matrix',
    '',
    `Requirement (risks of [risks.md](risks.md)) → test → last result. Written by \`npm run -s trace\` from the test run of ${day}.`,
    '',
    ...rows,
    '',
  ].join('\n')
}

/** The model card in the sections of CHAI's applied model card. */
function chaiCard(): string {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'models/cardiacnets-compact/manifest.json'), 'utf8'))
  const report = JSON.parse(readFileSync(join(ROOT, 'models/training/reports/compact.json'), 'utf8'))
  const { cad, normals, teacher } = report.real
  const { training } = manifest
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`
  const data = training.data.map(({ name, licence }: { name: string; licence?: string }) =>
    licence === undefined ? name : `${name} (${licence})`,
  )
  const ages = Object.entries<{ sensitivity: { share: number }; specificity: { share: number } }>(cad.byAge)
  return [
    `# Model card (CHAI): ${manifest.name} ${manifest.version}`,
    '',
    '**Investigational. Not a medical device.** Written by `npm run -s trace` from the manifest and `models/training/reports/compact.json`.',
    '',
    '| section | content |',
    '| --- | --- |',
    '| Developer | this project; contact: [SECURITY](../../SECURITY.md) |',
    `| Release | ${manifest.version}, trained ${training.date} at commit ${training.commit.slice(0, 12)}, from ${training.from} |`,
    '| Approval | none |',
    `| Availability | in this repository, ${manifest.licence} |`,
    '| Use and users | [intended use](README.md#intended-use) |',
    '| Uses to avoid | diagnosis, triage, monitoring, exclusion of disease; children; paced rhythms |',
    '| Input | 10 s of a 12-lead ECG; sex, age, height and weight if known |',
    '| Output | five probabilities with limits by sex and age; 82 indices with 90% intervals; a score of unfamiliarity |',
    '| Kind of model | 1-D ResNet, ONNX; denoising diffusion for the drawn cines |',
    ...data.map((each: string) => `| Training data | ${each} |`),
    '| Foundation models | none |',
    '| Bias mitigation | limits by sex and age; figures by sex, age and lead set in [the card](../../models/cardiacnets-compact/MODEL_CARD.md) |',
    '| Maintenance | drift against a reference; [plan for a new bundle](change-plan.md) |',
    '| Known risks | [risks](risks.md), [limits](../limits.md) |',
    '',
    '## Key metrics',
    '',
    '| metric | data | value |',
    '| --- | --- | --- |',
    `| CAD, AUROC | PTB-XL fold 9, ${cad.n} real ECGs | ${cad.auroc.toFixed(3)} (${cad.ci.map((x: number) => x.toFixed(3)).join('–')}) |`,
    `| CAD, calibration slope | same | ${cad.slope.toFixed(2)} |`,
    ...ages.map(
      ([age, { sensitivity, specificity }]) =>
        `| CAD, sensitivity and specificity, ${age} | same | ${percent(sensitivity.share)}, ${percent(specificity.share)} |`,
    ),
    `| normal ECGs flagged with anything | same, ${normals.n} normal | ${percent(normals.flagged.any.share)} |`,
    `| HF, correlation with the teacher (agreement, not accuracy) | same | ${teacher.hf.r.toFixed(2)} |`,
    `| indices, mean R | ${report.test.n} simulated people | ${report.test.meanR.toFixed(2)} |`,
    '',
    'Clinical outcome, usability and equity were not studied.',
    '',
  ].join('\n')
}

if (import.meta.main) {
  const [file] = new Command('npm run trace --')
    .description('Writes the trace matrix and the model card of docs/regulatory (see its README.md).')
    .argument('<results>', 'JSON report of vitest')
    .parse().processedArgs as [string] // as: the argument is required
  const write = (name: string, text: string) => {
    writeFileSync(join(FOLDER, name), text)
    console.log(relative(ROOT, join(FOLDER, name)))
  }
  write('trace.md', traceMatrix(readRequirements(), JSON.parse(readFileSync(file, 'utf8'))))
  write('model-card-chai.md', chaiCard())
}
