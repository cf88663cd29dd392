/**
 * Prints the tables of docs/quality-gate.md: `npm run -s node -- test/shared/signal/quality-table.ts`. Takes two minutes.
 * @module
 */
import { Command } from 'commander'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { studyQuality, studyStrength } from '../../helpers/quality-study.ts'

const PACKED_COUNT = 2000

/** Damage is slow: one ECG in this number is damaged. */
const DAMAGE_EVERY = 3

const STRENGTHS = [1, 0.5, 0.25, 0.125, 0]

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)}%`

const counted = (counts: ReadonlyMap<string, number>) =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

new Command('npm run quality-table --')
  .description('Prints the tables of docs/quality-gate.md. Takes two minutes.')
  .parse()

if (!hasData) {
  console.error(`nothing to measure${NO_DATA}`)
  process.exit(2)
}

const { sources, corruptions } = await studyQuality(PACKED_COUNT, DAMAGE_EVERY)

console.log('| source | ECGs | refused | leads refused | why | paced: labelled, found, found without label |')
console.log('| --- | --- | --- | --- | --- | --- |')
for (const { source, ecgs, refused, leads, refusedLeads, paced } of sources) {
  const refusedCount = [...refusedLeads.values()].reduce((sum, count) => sum + count, 0)
  console.log(
    `| ${source} | ${ecgs} | ${refused.length} (${percent(refused.length, ecgs)}) | ${refusedCount} (${percent(refusedCount, leads)}) ` +
      `| ${counted(refusedLeads)} | ${paced.labelled}, ${paced.found}, ${paced.unlabelled.length} |`,
  )
}
console.log()
for (const { source, refused, paced } of sources) {
  for (const { id, reasons } of refused) console.log(`- ${source} ${id}: ${reasons.join(', ')}`)
  for (const id of paced.unlabelled) console.log(`- ${source} ${id}: paced (no label says so)`)
}
console.log()
console.log('| damage | Hz | leads caught | as | windows refused |')
console.log('| --- | --- | --- | --- | --- |')
for (const { name, rateHz, leads, caught, reasons, windows, refused } of corruptions) {
  console.log(
    `| ${name} | ${rateHz} | ${caught} of ${leads} (${percent(caught, leads)}) | ${counted(reasons)} | ${percent(refused, windows)} |`,
  )
}

console.log()
console.log(`| share of leads refused at 500 Hz, damage times | ${STRENGTHS.join(' | ')} |`)
console.log(`| --- |${' --- |'.repeat(STRENGTHS.length)}`)
for (const [name, shares] of await studyStrength(STRENGTHS, 6 * DAMAGE_EVERY)) {
  console.log(`| ${name} | ${shares.map((share) => percent(share, 1)).join(' | ')} |`)
}
