/**
 * From an intake message and its samples to the result: the steps of `preprocess` and `screen` in one process.
 * @module
 */
import type { Result } from '../domain/result.ts'
import type { Waveform } from '../domain/waveform.ts'
import { timeOfSample } from '../domain/window.ts'
import type { IntakeMessage } from '../messages.ts'
import { chooseWindow } from '../signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../signal/profile.ts'
import type { WindowPreparer } from '../signal/window-preparer.ts'
import { screenWindow } from './screen.ts'
import type { Screener } from './screener.ts'

export interface IntakeScreening {
  readonly screener: Screener
  readonly preparer: WindowPreparer
  readonly codeVersion: string
}

/** Returns the same result as the cloud, except for `provenance.codeVersion`. */
export function screenIntake(
  { screener, preparer, codeVersion }: IntakeScreening,
  { heartRateBpm, warnings = [], ...envelope }: Omit<IntakeMessage, 'waveform'>,
  waveform: Waveform,
): Promise<Result> {
  const { firstSample, durationMs, inputSha256, prepared } = chooseWindow(preparer, waveform, heartRateBpm)
  const { span } = envelope
  const window = {
    ...envelope,
    span: {
      startedAt: timeOfSample(span.startedAt, waveform.rateHz, firstSample),
      firstSample: span.firstSample + firstSample,
      durationMs,
    },
    profile: CARDIACNETS_V1.name,
    inputSha256,
    quality: prepared.quality,
    warnings: [...warnings, ...prepared.warnings],
    measurements: prepared.measurements,
  }
  return screenWindow(screener, window, prepared.clean, codeVersion)
}
