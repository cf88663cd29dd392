/**
 * Prints the tables of docs/delineation.md: `npm run -s delineation-table`. Takes half a minute. With `--virtual FOLDER`, that of the virtual cohort
 * (`python -m cardiacnets.cli.boundaries FOLDER` writes it); with `--healthy`, that of healthy people in PTB-XL; with `--blocks`, that of
 * bundle branch blocks in PTB-XL (40 s).
 * @module
 */
import { Command } from 'commander'
import { quantile } from '../../../shared/statistics.ts'
import { blockQrs, separation } from '../../helpers/block-qrs.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { EDGES, median, studyDelineation, virtualErrors, WAVE_NAMES } from '../../helpers/delineation-study.ts'
import { healthyQrs } from '../../helpers/healthy-qrs.ts'

const { virtual, healthy, blocks } = new Command('npm run delineation-table --')
  .description('Prints the tables of docs/delineation.md. Takes half a minute.')
  .option(
    '--virtual <folder>',
    'the table of the virtual cohort, from the output of `python -m cardiacnets.cli.boundaries`',
  )
  .option('--healthy', 'the table of healthy people in PTB-XL')
  .option('--blocks', 'the table of bundle branch blocks in PTB-XL')
  .parse()
  .opts<{ virtual?: string; healthy?: true; blocks?: true }>()
const VIRTUAL_NAMES = { qrs: 'QRS, 3% of the peak', qrsVisible: 'QRS, the standard', qt: 'QT' } as const
if (virtual !== undefined) {
  console.log('| interval | people | median error | median absolute error | within ±10 ms |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const [name, errors] of Object.entries(virtualErrors(virtual))) {
    const near = errors.filter((error) => Math.abs(error) <= 10).length / errors.length
    console.log(
      `| ${VIRTUAL_NAMES[name as keyof typeof VIRTUAL_NAMES]} | ${errors.length} | ${median(errors).toFixed(1)} ms | ${median(errors.map(Math.abs)).toFixed(1)} ms | ${(100 * near).toFixed(1)}% |`,
    )
  }
  process.exit(0)
}

if (!hasData) {
  console.error(`nothing to measure${NO_DATA}`)
  process.exit(2)
}

if (healthy) {
  const { at500Hz, at100Hz, lengthened } = await healthyQrs(150)
  console.log('| ECGs | people | mean | SD | 2% to 98% |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const [rate, bySex] of [
    ['500 Hz', at500Hz],
    ['100 Hz', at100Hz],
  ] as const) {
    for (const [sex, values] of Object.entries(bySex)) {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const sd = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
      const at = (share: number) => quantile(values, share).toFixed(0)
      console.log(
        `| ${sex}, ${rate} | ${values.length} | ${mean.toFixed(1)} ms | ${sd.toFixed(1)} ms | ${at(0.02)} to ${at(0.98)} ms |`,
      )
    }
  }
  const share = lengthened.filter((ms) => ms > 20).length
  console.log(
    `\nThe same ${lengthened.length} ECGs at 100 Hz have a QRS that is longer by ${median(lengthened).toFixed(0)} ms in the median, and by more than 20 ms in ${share}.`,
  )
  process.exit(0)
}

if (blocks) {
  const found = blockQrs()
  console.log('| statement | ECGs | median | 10% to 90% | 120 ms or more |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const [name, ecgs] of found) {
    const ours = ecgs.map((ecg) => ecg.ours)
    const at = (share: number) => quantile(ours, share).toFixed(0)
    const long = (100 * ours.filter((ms) => ms >= 120).length) / ours.length
    console.log(`| ${name} | ${ours.length} | ${at(0.5)} ms | ${at(0.1)} to ${at(0.9)} ms | ${long.toFixed(0)}% |`)
  }
  console.log('\n| complete against incomplete | QRS | limit (95% CI) | misclassified | AUROC |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const [side, incomplete, complete] of [
    ['right', 'IRBBB', 'CRBBB'],
    ['left', 'ILBBB', 'CLBBB'],
  ] as const) {
    for (const [rule, name] of [
      ['ours', 'second earliest to second latest lead'],
      ['widest', 'earliest to latest lead'],
    ] as const) {
      const of = (block: typeof incomplete | typeof complete) => found.get(block)!.map((ecg) => ecg[rule])
      const { cut, cutCi, error, auroc } = separation(of(incomplete), of(complete))
      console.log(
        `| ${side} | ${name} | ${cut} ms (${cutCi.join(' to ')}) | ${(100 * error).toFixed(0)}% | ${auroc.toFixed(3)} |`,
      )
    }
  }
  process.exit(0)
}

const percent = (share: number) => `${(100 * share).toFixed(1)}%`
const NAMES = { p: 'P', qrs: 'QRS', t: 'T' } as const

const { recordings, silent, boundaries, intervals, qrs, withoutP } = await studyDelineation([40, 150])
const [narrow, wide] = [boundaries.get(40)!, boundaries.get(150)!]

console.log(
  '| boundary | annotated | F1 at ±40 ms | F1 at ±150 ms | sensitivity, PPV at ±150 ms | median error | median absolute error | SD |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
for (const wave of WAVE_NAMES) {
  for (const edge of EDGES) {
    const [at40, at150] = [narrow.get(`${wave} ${edge}`)!, wide.get(`${wave} ${edge}`)!]
    const f1 = ({ found, missed, invented }: typeof at40) => percent((2 * found) / (2 * found + missed + invented))
    const { found, missed, invented, errorsMs } = at150
    const mean = errorsMs.reduce((sum, error) => sum + error, 0) / errorsMs.length
    const sd = Math.sqrt(errorsMs.reduce((sum, error) => sum + (error - mean) ** 2, 0) / errorsMs.length)
    console.log(
      `| ${NAMES[wave]} ${edge} | ${found + missed} | ${f1(at40)} | ${f1(at150)} | ${percent(found / (found + missed))}, ` +
        `${percent(found / (found + invented))} | ${median(errorsMs).toFixed(1)} ms | ${median(errorsMs.map(Math.abs)).toFixed(1)} ms | ${sd.toFixed(1)} ms |`,
    )
  }
}
console.log()
console.log(
  '| interval | recordings | median error | median absolute error | within ±10 ms | within ±20 ms | within ±40 ms |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const [name, of] of [
  ['PR', 'pr'],
  ['QRS', 'qrs'],
  ['QT', 'qt'],
] as const) {
  const errors = intervals[of]
  const within = (ms: number) => percent(errors.filter((error) => Math.abs(error) <= ms).length / errors.length)
  console.log(
    `| ${name} | ${errors.length} | ${median(errors).toFixed(1)} ms | ${median(errors.map(Math.abs)).toFixed(1)} ms | ${within(10)} | ${within(20)} | ${within(40)} |`,
  )
}
console.log()
console.log('| QRS of | reference of the annotators | median error |')
console.log('| --- | --- | --- |')
const error = (errors: readonly number[]) => `${median(errors).toFixed(1)} ms`
console.log(
  `| this method | each beat: second earliest to second latest lead; then the median | ${error(intervals.qrs)} |`,
)
console.log(`| this method | each lead: the median over the beats; then second to second | ${error(qrs.leadMedians)} |`)
console.log(`| earliest onset to latest end | the same | ${error(qrs.widest)} |`)
console.log()
console.log(
  `At the annotators’ onset, the lead that has moved most is ${median(qrs.theirOnsetUv).toFixed(0)} µV from its level, at ours ${median(qrs.ourOnsetUv).toFixed(0)} µV.`,
)
console.log()
console.log(
  `${recordings} recordings, ${silent} without three similar beats. In ${withoutP.recordings} no P wave is annotated; in ${withoutP.invented} of these one was found.`,
)
