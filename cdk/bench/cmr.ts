/**
 * Benchmark of drawing cines: each sampler of the bundle, in its own steps, against the same loop in PyTorch.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import type { Bundle } from '../../shared/inference/bundle.ts'
import type { Sampler } from '../../shared/inference/synthesis-manifest.ts'
import { median, round } from '../../shared/statistics.ts'
import type { DrawingFigures } from './cmr-process.ts'
import { runScript } from './process.ts'
import { PYTHON, TRAINING } from './python.ts'

/** Our runs and PyTorch's alternate, so that other load on the machine affects both. */
const TURNS = 3

interface SamplerFigures {
  /** Both views, from the window to the frames. */
  readonly secondsPerCine: number
  /** Steps per view. */
  readonly steps: number
  readonly guidance: number
  /** Time of the sampling loop relative to its ONNX calls alone. */
  readonly loopOverhead: number
  /** PyTorch's time from noise to frames relative to ours from window to frames; absent where models/training is not set up (`uv sync`). */
  readonly ratioVsPytorch?: number
  /** Peak memory of the process. */
  readonly peakMb: number
}

/** Figures of the default sampler, and those of the others by name. */
export type CmrFigures = SamplerFigures & {
  readonly threads: number
  readonly [sampler: string]: SamplerFigures | number
}

/** Returns `undefined` for a bundle that only screens. */
export async function benchCmr({ directory, manifest: { synthesis } }: Bundle): Promise<CmrFigures | undefined> {
  if (synthesis === undefined) return undefined
  const figures: Record<string, SamplerFigures> = {}
  for (const sampler of synthesis.samplers) figures[sampler.name] = await benchSampler(directory, sampler)
  const { [synthesis.default]: standard, ...others } = figures
  return { ...standard!, threads: availableParallelism(), ...others }
}

async function benchSampler(bundle: string, { name, steps, guidance }: Sampler): Promise<SamplerFigures> {
  const ours: DrawingFigures[] = []
  const pytorch: number[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(JSON.parse(await runScript('cdk/bench/cmr-process.ts', bundle, name, String(steps))))
    if (existsSync(PYTHON)) pytorch.push(await timePytorch(bundle, name, steps))
  }
  const seconds = median(ours.map(({ secondsPerCine }) => secondsPerCine))
  return {
    secondsPerCine: round(seconds),
    steps,
    guidance,
    loopOverhead: round(median(ours.map(({ loopOverhead }) => loopOverhead))),
    ...(pytorch.length > 0 && { ratioVsPytorch: round(median(pytorch) / seconds) }),
    peakMb: round(Math.max(...ours.map(({ peakMb }) => peakMb))),
  }
}

async function timePytorch(bundle: string, sampler: string, steps: number): Promise<number> {
  const args = [
    '-m',
    'cardiacnets.reference.drawing',
    '--json',
    '--bundle',
    bundle,
    '--sampler',
    sampler,
    '--steps',
    String(steps),
  ]
  const { stdout } = await promisify(execFile)(PYTHON, [...args, '--threads', String(availableParallelism())], {
    cwd: TRAINING,
  })
  return JSON.parse(stdout).secondsPerCine
}
