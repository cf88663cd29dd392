/**
 * Prints the tables of docs/quality-gate.md: `npm run -s quality-table`. Takes a minute.
 * @module
 */
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { studyQuality } from '../../helpers/quality-study.ts'

const PACKED_COUNT = 2000

const percent = (part: number, whole: number) => `${((100 * part) / whole).toFixed(1)}%`

const counted = (counts: ReadonlyMap<string, number>) =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

if (!hasData) {
  console.error(`nothing to measure${NO_DATA}`)
  process.exit(2)
}

const { sources, corruptions } = await studyQuality(PACKED_COUNT)

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
