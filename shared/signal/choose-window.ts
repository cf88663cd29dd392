/**
 * Chooses the one window of a longer recording that is screened. Shared by `preprocess` and the CLI.
 * @module
 */
import type { Waveform } from '../domain/waveform.ts'
import { cutWindow, slidingStarts } from '../domain/window.ts'
import { waveformSha256 } from '../waveform/codec.ts'
import type { PreparedWindow, WindowPreparer } from './window-preparer.ts'

export interface ChosenWindow {
  /** Index of the window's first sample within the recording. */
  readonly firstSample: number
  readonly durationMs: number
  /** SHA-256 of the window's samples. */
  readonly inputSha256: string
  readonly prepared: PreparedWindow
}

/** The first acceptable window, in steps of one second. When there is none, the first window with its refusal. */
export function chooseWindow(preparer: WindowPreparer, recording: Waveform, heartRateBpm?: number): ChosenWindow {
  let chosen: { firstSample: number; waveform: Waveform; prepared: PreparedWindow } | undefined
  for (const firstSample of slidingStarts(recording)) {
    const waveform = cutWindow(recording, firstSample)
    const prepared = preparer.prepare(waveform, heartRateBpm)
    chosen ??= { firstSample, waveform, prepared }
    if (prepared.clean === undefined) continue
    chosen = { firstSample, waveform, prepared }
    break
  }
  // A recording has at least one window, however short.
  const { firstSample, waveform, prepared } = chosen!
  return {
    firstSample,
    durationMs: (1000 * waveform.leads[0]!.samples.length) / waveform.rateHz,
    inputSha256: waveformSha256(waveform),
    prepared,
  }
}
