/**
 * `cardiacnets screen`: screens files directly, without a stack.
 * @module
 */
import { Command } from 'commander'
import { Screener } from '../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { type FileOptions, readOptions, takeFileOptions } from './file-options.ts'
import { type ModelOptions, readModel, takeModelOptions } from './model-options.ts'
import { describeResult, EXIT, errorJson, progress, reportError } from './output.ts'
import { anonymous, screenRecording } from './screen-recording.ts'

interface ScreenOptions extends FileOptions, ModelOptions {
  readonly json?: boolean
  readonly all?: boolean
  readonly person: boolean
}

export function screenCommand(): Command {
  const command = new Command('screen')
    .description('screen ECG files directly, without a stack')
    .argument('<file...>', 'ECG files; of a longer recording, its first acceptable ten seconds')
  takeFileOptions(command)
    .option('--json', 'one JSON document on stdout: the result, or an array when several files are given')
    .option('--all', 'show all 82 indices')
    .option('--no-person', "leave out the sex and age of a file's header")
  return takeModelOptions(command).action(async (files: string[], options: ScreenOptions) => {
    process.exitCode = await screenFiles(files, options)
  })
}

/** @returns the exit code: the first bad file's, else 3 where one was refused, else 0 */
async function screenFiles(files: readonly string[], options: ScreenOptions): Promise<number> {
  const { bundle, site } = await readModel(options)
  const screener = await Screener.load(bundle, site)
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const bar = progress(files.length, 'screening')
  const documents: unknown[] = []
  let failed: number = EXIT.ok
  let isAnyRefused = false
  for (const file of files) {
    try {
      const recording = await readRecording(file, readOptions(options))
      const { result } = await screenRecording(screener, preparer, options.person ? recording : anonymous(recording))
      isAnyRefused ||= result.status === 'refused'
      documents.push(files.length === 1 ? result : { file, ...result })
      if (!options.json) process.stdout.write(`${describeResult(result, { title: file, all: options.all === true })}\n`)
    } catch (error) {
      failed ||= reportError(error, file)
      documents.push({ file, error: errorJson(error) })
    }
    bar.step()
  }
  bar.stop()
  await screener.release()
  if (options.json) {
    process.stdout.write(`${JSON.stringify(files.length === 1 ? documents[0] : documents, null, 2)}\n`)
  }
  return failed || (isAnyRefused ? EXIT.refused : EXIT.ok)
}
