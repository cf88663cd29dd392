/**
 * Prints the table of docs/formats.md: what `cli screen` says of every file of the zoo. `npm run -s zoo-table`. Exit code 1 when a file ends in
 * anything but a result, a refusal or a coded error.
 * @module
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import * as z from 'zod'
import { sampleCount } from '../../../shared/domain/recording.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'

const Entry = z.object({
  status: z.string().optional(),
  quality: z
    .object({ reasons: z.array(z.string()), heartRateBpm: z.number().nullable(), derived: z.array(z.string()) })
    .optional(),
  error: z.object({ code: z.string() }).catchall(z.unknown()).optional(),
})
type Entry = z.infer<typeof Entry>

const MAIN = resolve(import.meta.dirname, '../../../functions/cli/main.ts')

/** The document of a single file is printed alone. */
const Document = z.union([Entry.array(), Entry.transform((entry) => [entry])])

function screen(files: readonly string[], ...options: readonly string[]): Entry[] {
  const args = [MAIN, 'screen', '--json', ...options, ...files.map((file) => dataPath('format_zoo', file))]
  try {
    return Document.parse(JSON.parse(run(args)))
  } catch (error) {
    // Where a file is refused or bad the exit code is 3 or 2, and the document is there all the same.
    const { stdout } = z.object({ status: z.literal([2, 3]), stdout: z.string() }).parse(error)
    return Document.parse(JSON.parse(stdout))
  }
}

const run = (args: readonly string[]) =>
  execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'ignore'] })

async function row(file: string, entry: Entry, lead?: string): Promise<string> {
  const recording = await readRecording(dataPath('format_zoo', file), { lead }).catch(() => undefined)
  const facts =
    recording === undefined
      ? ['', '', '', '', '']
      : [
          recording.format,
          recording.leads.length,
          recording.rateHz,
          (sampleCount(recording) / recording.rateHz).toFixed(1),
          recording.startedAt?.slice(0, 19) ?? '',
        ]
  const name = lead === undefined ? file : `${file} \`--lead ${lead}\``
  return `| ${[name, ...facts, verdict(entry), entry.quality?.heartRateBpm?.toFixed(0) ?? ''].join(' | ')} |`
}

function verdict({ status, quality, error }: Entry): string {
  if (error !== undefined) {
    const { code, message: _sentence, ...where } = error
    return [code, ...Object.entries(where).map(([name, value]) => `${name}=${value}`)].join(' ')
  }
  return status === 'refused' ? `refused: ${quality!.reasons.join(', ')}` : status!
}

new Command('npm run zoo-table --')
  .description(
    'Prints the table of docs/formats.md for ../shared/data/format_zoo. Exit code 1 when a file ends in something else than a result, a refusal or a coded error.',
  )
  .parse()

if (!hasData) {
  console.error(`nothing to read${NO_DATA}`)
  process.exit(2)
}

const files = readdirSync(dataPath('format_zoo'))
  .sort()
  .flatMap((folder) => readdirSync(dataPath('format_zoo', folder)).map((name) => join(folder, name)))
const entries = screen(files)
console.log('| file | format | leads | Hz | s | start (UTC) | `screen` | beats/min |')
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
for (const [index, file] of files.entries()) console.log(await row(file, entries[index]!))
for (const file of files.filter((each) => each.startsWith('movesense'))) {
  const [entry] = screen([file], '--lead', 'I')
  console.log(await row(file, entry!, 'I'))
}
process.exitCode = entries.some(({ error }) => error?.code === 'internal') ? 1 : 0
