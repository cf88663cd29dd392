/**
 * `cardiacnets screen`: screens files directly, without a stack.
 * @module
 */
import { Command } from 'commander'
import type { Result } from '../../shared/domain/result.ts'
import { CodedError } from '../../shared/errors.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { print } from '../../shared/standard-output.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { type FileOptions, readOptions, takeFileOptions } from './file-options.ts'
import { inputFiles } from './input-files.ts'
import { type ModelOptions, readModel, takeModelOptions } from './model-options.ts'
import { describeResult, EXIT, errorJson, progress, reportError } from './output.ts'
import { anonymous, screenRecording } from './screen-recording.ts'

interface ScreenOptions extends FileOptions, ModelOptions {
  readonly json?: boolean
  readonly jsonLines?: boolean
  readonly all?: boolean
  readonly person: boolean
}

export function screenCommand(): Command {
  const command = new Command('screen')
    .description('screen ECG files on this machine')
    .argument(
      '<file...>',
      'ECG files, folders, @list (a file with one path per line) or - (paths on standard input). A longer recording is screened at its first acceptable 10 s',
    )
  takeFileOptions(command)
    .option('--json', 'print one JSON document: the result, or an array for several files')
    .option('--json-lines', 'print one JSON document per line, as each file is screened')
    .option('--all', 'show all 82 indices')
    .option('--no-person', "ignore sex and age in the file's header")
  return takeModelOptions(command).action(async (files: string[], options: ScreenOptions) => {
    process.exitCode = await screenFiles(files, options)
  })
}

/** @returns exit code: that of the first failed file, else 3 when a file was refused, else 0 */
async function screenFiles(names: readonly string[], options: ScreenOptions): Promise<number> {
  const files = await inputFiles(names, process.stdin)
  const { bundle, site } = await readModel(options)
  const screener = await Screener.load(bundle, site)
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const bar = progress(files.length, 'screening')
  // A folder counts as several files, even with one file in it.
  const isAlone = files.length === 1 && names.length === 1 && files[0]!.isFound === false
  const output = outputFor(options, isAlone)
  let failed: number = EXIT.ok
  let isAnyRefused = false
  const passedOver: string[] = []
  const screen = async (path: string) => {
    const recording = await readRecording(path, readOptions(options))
    return screenRecording(screener, preparer, options.person ? recording : anonymous(recording))
  }
  try {
    for (const { path, isFound } of files) {
      bar.step()
      const screened = await screen(path).catch((error: unknown) => ({ error }))
      if ('result' in screened) {
        isAnyRefused ||= screened.result.status === 'refused'
        await output.result(path, screened.result)
        continue
      }
      const { error } = screened
      if (isFound && error instanceof CodedError && error.code === 'format-unknown') {
        passedOver.push(path)
        continue
      }
      failed ||= reportError(error, path)
      await output.failed(path, error)
    }
  } finally {
    bar.stop()
    await screener.release()
  }
  await output.end()
  if (passedOver.length > 0) process.stderr.write(`${passedOver.length} of ${files.length} ${listOf(passedOver)}\n`)
  return failed || (isAnyRefused ? EXIT.refused : EXIT.ok)
}

/** Names of skipped files that are shown. */
const MAX_NAMES = 10

function listOf(paths: readonly string[]): string {
  const more = paths.length > MAX_NAMES ? ` and ${paths.length - MAX_NAMES} more` : ''
  return `files are not ECGs and were skipped: ${paths.slice(0, MAX_NAMES).join(', ')}${more}`
}

/** Writes the output of each file at once; nothing is kept. */
interface Output {
  result(file: string, result: Result): Promise<void>
  failed(file: string, error: unknown): Promise<void>
  end(): Promise<void>
}

function outputFor({ json, jsonLines, all }: ScreenOptions, isAlone: boolean): Output {
  if (jsonLines) {
    return {
      result: (file, result) => print(`${JSON.stringify({ file, ...result })}\n`),
      failed: (file, error) => print(`${JSON.stringify({ file, error: errorJson(error, file) })}\n`),
      end: async () => {},
    }
  }
  if (!json) {
    return {
      result: (file, result) => print(`${describeResult(result, { title: file, all: all === true })}\n`),
      failed: async () => {},
      end: async () => {},
    }
  }
  if (isAlone) {
    const document = (value: unknown) => print(`${JSON.stringify(value, null, 2)}\n`)
    return {
      result: (_, result) => document(result),
      failed: (file, error) => document({ file, error: errorJson(error, file) }),
      end: async () => {},
    }
  }
  let count = 0
  const entry = (value: unknown) =>
    print(`${count++ === 0 ? '[' : ','}\n${JSON.stringify(value, null, 2).replace(/^/gm, '  ')}`)
  return {
    result: (file, result) => entry({ file, ...result }),
    failed: (file, error) => entry({ file, error: errorJson(error, file) }),
    end: () => print(count === 0 ? '[]\n' : '\n]\n'),
  }
}
