/**
 * Damages the samples of each format as often as told and prints how reading them ended: `npm run -s fuzz-formats -- --runs
 * 10000`. Each format runs in a process of its
 * own, whose memory is what the table says. Exit code 1 when anything but a recording or a coded error came out, or took too long or too much.
 * @module
 */
import { fork } from 'node:child_process'
import { availableParallelism, cpus } from 'node:os'
import { Command } from 'commander'
import fc from 'fast-check'
import { FORMAT_NAMES } from '../../../streams/formats/index.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { type FormatSample, ownSamples, zooSamples } from '../../helpers/format-samples.ts'
import { damage, MAX_CPU_MS_PER_KB, readDamaged } from '../../helpers/mutations.ts'

const MAX_CPU_MS = 2000
const MAX_PEAK_MB = 1024

/** What a format's process tells. */
interface Report {
  readonly format: string
  readonly samples: number
  readonly runs: number
  readonly recordings: number
  readonly errors: Readonly<Record<string, number>>
  readonly slowestMs: number
  readonly slowestMsPerKb: number
  readonly peakMb: number
  /** What came out instead, with what reproduces it. */
  readonly failure?: string | undefined
}

const values = new Command('npm run fuzz-formats --')
  .description(
    'Damages samples of each format and prints how reading them ended. Exit code 1 when something else than a recording or a coded error came out.',
  )
  .option('--runs <n>', 'damaged files', '10000')
  .option('--seed <n>', 'of the damage', String(Date.now() % 1_000_000))
  .option('--format <name>', 'only this format')
  .parse()
  .opts<{ runs: string; seed: string; format?: string }>()
const seed = Number(values.seed)
const samples = [...ownSamples(), ...(hasData ? zooSamples() : [])].filter(({ format }) =>
  FORMAT_NAMES.includes(format),
)

// A parent forks this file once a format, and talks to it over IPC.
if (process.send === undefined) await runAll(Number(values.runs))
else process.send(runFormat(values.format!, Number(values.runs)), () => process.disconnect())

async function runAll(runs: number): Promise<void> {
  if (!hasData) console.log(`only files of our own${NO_DATA}`)
  const formats = [...new Set(samples.map(({ format }) => format))].filter((each) => (values.format ?? each) === each)
  const each = Math.ceil(runs / formats.length)
  console.log(`seed ${seed}, ${each} runs a format, ${cpus()[0]?.model}, ${availableParallelism()} processors\n`)
  console.log(
    '| format | files | runs | recordings | coded errors | other | slowest, ms of CPU | slowest kB, ms | peak, MB | codes |',
  )
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |')
  const failures: string[] = []
  for (const format of formats) {
    const report = await inChild(format, each)
    const coded = Object.values(report.errors).reduce((sum, count) => sum + count, 0)
    const codes = Object.entries(report.errors).sort(([, a], [, b]) => b - a)
    console.log(
      `| ${format} | ${report.samples} | ${report.runs} | ${report.recordings} | ${coded} | ${report.runs - report.recordings - coded} ` +
        `| ${report.slowestMs.toFixed(0)} | ${report.slowestMsPerKb.toFixed(2)} | ${report.peakMb.toFixed(0)} | ${codes.map(([code, count]) => `${code} ${count}`).join(', ')} |`,
    )
    if (report.failure !== undefined) failures.push(`${format}: ${report.failure}`)
    if (report.slowestMs > MAX_CPU_MS) failures.push(`${format}: slower than ${MAX_CPU_MS} ms`)
    if (report.slowestMsPerKb > MAX_CPU_MS_PER_KB)
      failures.push(`${format}: more than ${MAX_CPU_MS_PER_KB} ms a kilobyte`)
    if (report.peakMb > MAX_PEAK_MB) failures.push(`${format}: more than ${MAX_PEAK_MB} MB`)
  }
  for (const failure of failures) console.error(`\n${failure}`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

function inChild(format: string, runs: number): Promise<Report> {
  const args = ['--format', format, '--runs', String(runs), '--seed', String(seed)]
  const child = fork(import.meta.filename, args, { execArgv: [`--max-old-space-size=${MAX_PEAK_MB}`] })
  return new Promise((resolve, reject) => {
    // Written by `runFormat` of this same file.
    child.on('message', (report) => resolve(report as Report))
    child.on('exit', (code, signal) => reject(new Error(`${format}: ended with ${code ?? signal} and no report`)))
  })
}

function runFormat(format: string, numRuns: number): Report {
  const own: readonly FormatSample[] = samples.filter((sample) => sample.format === format)
  const errors: Record<string, number> = {}
  let [runs, recordings, slowestMs, slowestMsPerKb] = [0, 0, 0, 0]
  const property = fc.property(fc.constantFrom(...own.keys()), fc.nat(), damage, (index, other, how) => {
    const donor = own[other % own.length]!.files.at(-1)!.bytes
    runs++
    const { code, cpuMs, cpuMsPerKb } = readDamaged(own[index]!, donor, how)
    if (code === undefined) recordings++
    else errors[code] = (errors[code] ?? 0) + 1
    slowestMs = Math.max(slowestMs, cpuMs)
    slowestMsPerKb = Math.max(slowestMsPerKb, cpuMsPerKb)
  })
  const details = fc.check(property, { numRuns, seed })
  return {
    format,
    samples: own.length,
    runs,
    recordings,
    errors,
    slowestMs,
    slowestMsPerKb,
    peakMb: process.resourceUsage().maxRSS / 1024,
    failure: details.failed ? fc.defaultReportMessage(details) : undefined,
  }
}
