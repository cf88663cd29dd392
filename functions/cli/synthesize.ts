/**
 * `cardiacnets synthesize`: draws cines for an ECG file, without a stack.
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { Command } from 'commander'
import { activeBundle } from '../../shared/inference/active-bundle.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { Screener } from '../../shared/inference/screener.ts'
import { samplerOf, VIEWS } from '../../shared/inference/synthesis-manifest.ts'
import { checkDrawable } from '../../shared/inference/synthesis-refusal.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { readRecording } from '../../streams/formats/index.ts'
import type { Artifact, IndicesDocument, ManifestDocument } from '../synthesize/draw.ts'
import { type FileOptions, readOptions, takeFileOptions, wholeNumber } from './file-options.ts'
import { errorJson, progress, reportError } from './output.ts'
import { anonymous, CODE_VERSION, screenRecording } from './screen-recording.ts'

interface SynthesizeOptions extends FileOptions {
  readonly out: string
  readonly model: string
  readonly seed: number
  readonly sampler?: string
  readonly steps?: number
  readonly person: boolean
  readonly json?: boolean
}

export function synthesizeCommand(): Command {
  const command = new Command('synthesize')
    .description('draw synthetic CMR cines from an ECG file (SYNTHETIC, not an examination)')
    .argument('<file>', 'ECG file. A longer recording is used at its first acceptable 10 s')
    .requiredOption('--out <directory>', 'output folder for DICOM, previews and indices')
  takeFileOptions(command)
    .option('--model <directory>', 'model bundle', activeBundle())
    .option(
      '--seed <n>',
      'random seed; each seed draws another heart that is compatible with the ECG',
      wholeNumber(0, 2 ** 32 - 1),
      0,
    )
    .option('--sampler <name>', "a sampler of the bundle (default: the bundle's default)")
    .option('--steps <n>', "sampling steps per view (default: the sampler's)", wholeNumber(1, 1000))
    .option('--no-person', "ignore sex and age in the file's header")
    .option('--json', 'print one JSON document')
  return command.action(async (file: string, options: SynthesizeOptions) => {
    try {
      const drawn = await synthesize(file, options)
      process.stdout.write(options.json ? `${JSON.stringify(drawn, null, 2)}\n` : describe(file, drawn))
    } catch (error) {
      process.exitCode = reportError(error, file)
      if (options.json) process.stdout.write(`${JSON.stringify({ error: errorJson(error) }, null, 2)}\n`)
    }
  })
}

async function synthesize(file: string, options: SynthesizeOptions) {
  const { out, model, seed, sampler, steps, person } = options
  const bundle = await readBundle(model, CARDIACNETS_V1.name)
  const recording = await readRecording(file, readOptions(options))
  const screener = await Screener.load(bundle)
  const whose = person ? recording : anonymous(recording)
  const { result, clean } = await screenRecording(screener, new WindowPreparer(CARDIACNETS_V1), whose)
  await screener.release()
  checkDrawable(result, bundle.manifest.synthesis)
  const startedMs = performance.now()
  // Imported only here, because the libraries for DICOM and WebP would slow down the start of every other command.
  const { Drawer } = await import('../synthesize/draw.ts')
  const drawer = await Drawer.open(bundle, CODE_VERSION, { sampler })
  const total = VIEWS.length * (steps ?? samplerOf(bundle.manifest.synthesis!, sampler).steps)
  const bar = progress(total, 'drawing', 1)
  try {
    // A result that is not a refusal has a clean window.
    const drawable = { result, clean: clean!, person: whose.person }
    const files = await drawer.draw(drawable, { seed, steps, onProgress: () => bar.step() })
    await mkdir(out, { recursive: true })
    for (const { name, bytes } of files) await writeFile(join(out, name), bytes)
    const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(1))
    const { indices } = documentOf<IndicesDocument>(files, 'indices.json')
    return { out, seconds, ...documentOf<ManifestDocument>(files, 'manifest.json'), indices }
  } finally {
    bar.stop()
    await drawer.release()
  }
}

/** Our own document, so its shape is known. */
function documentOf<T>(files: readonly Artifact[], name: string): T {
  return JSON.parse(Buffer.from(files.find((file) => file.name === name)!.bytes).toString())
}

/** A drawing as text. */
function describe(file: string, drawn: Awaited<ReturnType<typeof synthesize>>): string {
  const { sampler, steps, guidance, seed } = drawn.drawing
  const value = (number: number | null, unit: string) => (number === null ? 'not found' : `${number} ${unit}`)
  return [
    styleText('bold', file),
    styleText('yellow', '  SYNTHETIC: drawn by a model from an ECG. No scanner took it, and it is not an examination.'),
    `  seed ${seed}, sampler ${sampler}: ${steps} steps a view, guidance ${guidance}; ${drawn.seconds} s`,
    '',
    styleText('dim', '  index                              in the picture   r      r*     from the ECG   r'),
    ...drawn.indices.map(({ name, unit, drawn, drawnCorrelation, readoutCorrelation, estimated }) =>
      [
        `  ${name.padEnd(32)}${value(drawn, unit).padStart(17)}   ${drawnCorrelation?.toFixed(2) ?? '?   '}   ${readoutCorrelation.toFixed(2)}`,
        estimated && `${value(estimated.value, unit).padStart(15)}   ${estimated.correlation.toFixed(2)}`,
      ].join(''),
    ),
    styleText('dim', '  r: with the truth, on held-out people; r*: of the same measure on true cines, not drawn ones'),
    '',
    ...drawn.files.map(({ name }) => `  ${join(drawn.out, name)}`),
    '',
    styleText('dim', `  ${drawn.model}, learned from ${drawn.evidence} people. ${drawn.notice}`),
    '',
  ].join('\n')
}
