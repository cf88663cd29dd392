/**
 * Draws with one sampler in its own process, so that the peak memory is its own: `node cmr-process.ts BUNDLE SAMPLER STEPS`. Prints one
 * JSON document.
 * @module
 */
import { Tensor } from 'onnxruntime-node'
import { cutWindow } from '../../shared/domain/window.ts'
import { readBundle } from '../../shared/inference/bundle.ts'
import { ddimSteps } from '../../shared/inference/ddim.ts'
import { sampleLatent } from '../../shared/inference/sample-latent.ts'
import { encoderInputs, numbers, openSession } from '../../shared/inference/session.ts'
import { samplerOf } from '../../shared/inference/synthesis-manifest.ts'
import { Synthesizer } from '../../shared/inference/synthesizer.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { median } from '../../shared/statistics.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { DEMO_RECORD } from './windows.ts'

/** Rounds of the loop and of the bare calls, alternating. */
const ROUNDS = 5
const STEPS = 8

export interface DrawingFigures {
  readonly secondsPerCine: number
  readonly loopOverhead: number
  readonly peakMb: number
}

const [directory, name, steps] = process.argv.slice(2) as [string, string, string]
const bundle = await readBundle(directory, CARDIACNETS_V1.name)
const { clean } = new WindowPreparer(CARDIACNETS_V1).prepare(cutWindow(await readRecording(DEMO_RECORD), 0))

const synthesizer = await Synthesizer.open(bundle, { sampler: name })
await synthesizer.draw({ clean: clean! }, { seed: 0, steps: 1 })
const options = { seed: 0, steps: Number(steps) }
const secondsPerCine = (await millisecondsOf(() => synthesizer.draw({ clean: clean! }, options))) / 1000
const peakMb = process.resourceUsage().maxRSS / 1024
await synthesizer.release()
const figures: DrawingFigures = { secondsPerCine, loopOverhead: await loopOverhead(), peakMb }
process.stdout.write(`${JSON.stringify(figures)}\n`)

/** Time of `sampleLatent` relative to the same calls of the denoiser without it, on the larger view. */
async function loopOverhead(): Promise<number> {
  const { encoder: file, latent, views, schedule } = bundle.manifest.synthesis!
  const sampler = samplerOf(bundle.manifest.synthesis!, name)
  const encoder = await openSession(bundle, file, {})
  const denoiser = await openSession(bundle, sampler.file, {})
  const outputs = await encoder.run(encoderInputs(clean!, {}))
  const { index, latentSize } = views['4ch']
  const dims = [latent.channels, latent.frames, latentSize, latentSize] as const
  const size = latent.channels * latent.frames * latentSize ** 2
  const batch = sampler.guidance === 1 ? 1 : 2
  const [tokens, embedding] = [outputs.tokens!, numbers(outputs, 'embedding')]
  const zeros = (...shape: number[]) =>
    new Tensor('float32', new Float32Array(shape.reduce((product, side) => product * side)), shape)
  const feeds = {
    latent: zeros(batch, ...dims),
    timestep: zeros(batch),
    tokens: zeros(batch, ...tokens.dims.slice(1)),
    embedding: zeros(batch, embedding.length),
    conditioned: zeros(batch),
    view: new Tensor('int64', new BigInt64Array(batch).fill(BigInt(index)), [batch]),
  }
  const fetches = { prediction: zeros(batch, ...dims) }
  const steps = ddimSteps(schedule, sampler.prediction, STEPS)
  const start = new Float32Array(size).fill(0.5)
  const ratios: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const loop = await millisecondsOf(() =>
      sampleLatent(denoiser, start, { tokens, embedding, dims, view: index, guidance: sampler.guidance, steps }),
    )
    const bare = await millisecondsOf(async () => {
      for (let i = 0; i < STEPS; i++) await denoiser.run(feeds, fetches)
    })
    if (round > 0) ratios.push(loop / bare)
  }
  return median(ratios)
}

async function millisecondsOf(run: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return performance.now() - startedMs
}
