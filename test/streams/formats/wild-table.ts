/**
 * Prints the table of docs/formats.md that says what `cli screen` makes of every file of `../shared/data/wild`: `npm run -s
 * wild-table`. Exit code 1 when a file
 * is not read as it is meant.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { Command } from 'commander'
import * as z from 'zod'
import { readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { commandLine, WILD, type WildFile } from '../../helpers/wild.ts'

const MAIN = resolve(import.meta.dirname, '../../../functions/cli/main.ts')

const Entry = z.object({
  status: z.string().optional(),
  quality: z.object({ reasons: z.array(z.string()) }).optional(),
  warnings: z.array(z.object({ code: z.string() })).default([]),
  error: z.object({ code: z.string() }).optional(),
})
type Entry = z.infer<typeof Entry>

/** What the command prints of a file; it ends with 3 where the ECG is refused. */
function screen({ file, options }: WildFile): Entry {
  const args = [MAIN, 'screen', dataPath('wild', file), '--json', ...commandLine(options)]
  try {
    return Entry.parse(
      JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
    )
  } catch (error) {
    const { stdout } = z.object({ status: z.literal([2, 3]), stdout: z.string() }).parse(error)
    return Entry.parse(JSON.parse(stdout))
  }
}

async function row(each: WildFile): Promise<string> {
  const { leads, rateHz } = await readRecording(dataPath('wild', each.file), each.options)
  const { status, quality, warnings, error } = screen(each)
  const isRight = rateHz === each.rateHz && leads.map(({ name }) => name).join() === each.leads.join()
  if (!isRight || error !== undefined) process.exitCode = 1
  const verdict = error?.code ?? (status === 'refused' ? `refused: ${quality?.reasons.join(', ')}` : status)
  const option = commandLine(each.options).join(' ')
  const file = option === '' ? each.file : `${each.file} \`${option}\``
  const names = leads.length === 12 ? '12' : leads.map(({ name }) => name).join(', ')
  return `| ${[file, names, rateHz, verdict, warnings.map(({ code }) => code).join(', ')].join(' | ')} |`
}

new Command('npm run wild-table --')
  .description(
    'Prints the table of docs/formats.md for ../shared/data/wild. Exit code 1 when a file is not read as it is meant.',
  )
  .parse()

if (!hasData) {
  console.error(`nothing to read${NO_DATA}`)
  process.exit(2)
}

console.log('| file | leads | Hz | `screen` | warnings |')
console.log('| --- | --- | --- | --- | --- |')
for (const each of WILD) console.log(await row(each))
