/**
 * `cardiacnets screen`: screens files directly, without a stack.
 * @module
 */
import { Command } from 'commander'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import type { Result } from '../../shared/domain/result.ts'
import { timeOfSample } from '../../shared/domain/window.ts'
import { screenWindow } from '../../shared/inference/screen.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { chooseWindow } from '../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { codeVersion } from '../../shared/version.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { type FileOptions, readOptions, takeFileOptions } from './file-options.ts'
import { type ModelOptions, readModel, takeModelOptions } from './model-options.ts'
import { describeResult, EXIT, errorJson, progress, reportError } from './output.ts'

interface ScreenOptions extends FileOptions, ModelOptions {
  readonly json?: boolean
  readonly all?: boolean
  readonly person: boolean
}

/** Asked for once: it starts git, which takes 3 ms. */
const CODE_VERSION = codeVersion()

/** Tenant of what never reaches a service. */
const LOCAL_TENANT = 'local'

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
      const result = await screenRecording(screener, preparer, options.person ? recording : anonymous(recording))
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

/** The first acceptable window's result; where none is, the first window's refusal. */
async function screenRecording(screener: Screener, preparer: WindowPreparer, recording: Recording): Promise<Result> {
  const { firstSample, durationMs, inputSha256, prepared } = chooseWindow(preparer, recording, recording.heartRateBpm)
  const span = { startedAt: timeOfSample(recording.startedAt, recording.rateHz, firstSample), firstSample, durationMs }
  const window = {
    ecgId: fileEcgId({ tenant: LOCAL_TENANT, sha256: inputSha256 }),
    span,
    quality: prepared.quality,
    profile: CARDIACNETS_V1.name,
    inputSha256,
    person: recording.person,
  }
  return screenWindow(screener, window, prepared.clean, CODE_VERSION)
}

const anonymous = ({ person: _, ...recording }: Recording): Recording => recording
