/**
 * Benchmark of the signal chain against its two Python references, and of the whole path of a window; each on one thread.
 * @module
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { LEADS } from '../../shared/domain/leads.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import type { Screener } from '../../shared/inference/screener.ts'
import { SignalChain } from '../../shared/signal/chain.ts'
import { CARDIACNETS_V1, seasonalPeriod } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { median, millisecondsPerCall, round } from '../../shared/statistics.ts'
import { PYTHON, TRAINING } from './python.ts'

/** Heart rate of the compared window: period 441, as in reference/MEASURED.md. */
const HEART_RATE_BPM = 68

/** Our runs and Python's alternate, so that other load on the machine affects both. */
const TURNS = 3

export interface PreprocessFigures {
  readonly windowsPerSecond: number
  readonly msPerWindow: number
  readonly ratioVsPython?: number
  readonly ratioVsNumpy?: number
  readonly pythonMs?: number
  readonly numpyMs?: number
  /** Inference of one window with the same model in Python. */
  readonly pythonInferenceMs?: number
}

/**
 * The profile on float64 [12][5000], including copies in and out. The ratios are absent where models/training is not set up (`uv sync`).
 */
export async function benchPreprocess(waveform: Waveform, model: string): Promise<PreprocessFigures> {
  const { samples } = CARDIACNETS_V1
  const source = new Float64Array(LEADS.length * samples)
  for (const [i, { gainUv, samples: steps }] of waveform.leads.entries()) {
    for (let t = 0; t < samples; t++) source[i * samples + t] = (steps[t]! * gainUv) / 1000
  }
  const ours: number[] = []
  const python: PythonFigures[] = []
  for (let turn = 0; turn < TURNS; turn++) {
    ours.push(await timeChain(source))
    if (existsSync(PYTHON)) python.push(await timePython(source, model))
  }
  const ms = median(ours)
  const figures = { windowsPerSecond: round(1000 / ms), msPerWindow: round(ms) }
  if (python.length === 0) return figures
  const pythonMs = median(python.map(({ obviousMsPerWindow }) => obviousMsPerWindow))
  const numpyMs = median(python.map(({ vectorisedMsPerWindow }) => vectorisedMsPerWindow))
  return {
    ...figures,
    ratioVsPython: round(pythonMs / ms),
    ratioVsNumpy: round(numpyMs / ms),
    pythonMs: round(pythonMs),
    numpyMs: round(numpyMs),
    pythonInferenceMs: round(median(python.map(({ inferenceMsPerWindow }) => inferenceMsPerWindow))),
  }
}

function timeChain(source: Float64Array): Promise<number> {
  const { samples } = CARDIACNETS_V1
  const chain = new SignalChain(CARDIACNETS_V1)
  const period = seasonalPeriod(CARDIACNETS_V1, HEART_RATE_BPM)
  const input = new Float64Array(source.length)
  const output = new Float64Array(source.length)
  const inputs = LEADS.map((_, i) => input.subarray(i * samples, (i + 1) * samples))
  const work = new Float64Array(samples)
  return millisecondsPerCall(15, 50, () => {
    input.set(source)
    for (const [i, lead] of inputs.entries()) {
      chain.run(lead, period, work)
      output.set(work, i * samples)
    }
  })
}

interface PythonFigures {
  readonly obviousMsPerWindow: number
  readonly vectorisedMsPerWindow: number
  readonly inferenceMsPerWindow: number
}

async function timePython(source: Float64Array, model: string): Promise<PythonFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-bench-'))
  try {
    const input = join(folder, 'window.f64')
    await writeFile(input, new Uint8Array(source.buffer))
    const args = [
      '-m',
      'cardiacnets.reference.bench',
      '--json',
      '--input',
      input,
      '--hr',
      String(HEART_RATE_BPM),
      '--model',
      model,
    ]
    const { stdout } = await promisify(execFile)(PYTHON, args, { cwd: TRAINING })
    return JSON.parse(stdout)
  } finally {
    await rm(folder, { recursive: true })
  }
}

export interface ScreenFigures {
  readonly windowsPerSecond: number
  /** Relative to the straightforward Python chain with the same model in ONNX Runtime's Python API. */
  readonly ratioVsPython?: number
  readonly prepareMs: number
  readonly inferenceMs: number
}

/** From samples to result: quality gate, heart rate, signal chain, encoder and both heads. */
export async function benchScreen(
  windows: readonly Waveform[],
  screener: Screener,
  { pythonMs, pythonInferenceMs }: PreprocessFigures,
): Promise<ScreenFigures> {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const acceptable = windows.filter((window) => preparer.prepare(window).clean !== undefined)
  const pick = (i: number) => acceptable[i % acceptable.length]!
  const prepareMs = await millisecondsPerCall(9, 40, (i) => preparer.prepare(pick(i)))
  const clean = preparer.prepare(pick(0)).clean!
  const inferenceMs = await millisecondsPerCall(9, 40, () => screener.screen(clean))
  const bothMs = await millisecondsPerCall(9, 40, (i) => screener.screen(preparer.prepare(pick(i)).clean!))
  return {
    windowsPerSecond: round(1000 / bothMs),
    ...(pythonMs !== undefined &&
      pythonInferenceMs !== undefined && { ratioVsPython: round((pythonMs + pythonInferenceMs) / bothMs) }),
    prepareMs: round(prepareMs),
    inferenceMs: round(inferenceMs),
  }
}
