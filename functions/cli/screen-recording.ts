/**
 * Screens a recording without a stack, for `screen` and `synthesize`.
 * @module
 */
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import type { Recording } from '../../shared/domain/recording.ts'
import type { Result } from '../../shared/domain/result.ts'
import { timeOfSample } from '../../shared/domain/window.ts'
import { screenWindow } from '../../shared/inference/screen.ts'
import type { Screener } from '../../shared/inference/screener.ts'
import { chooseWindow } from '../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import type { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { codeVersion } from '../../shared/version.ts'
import type { CleanWindow } from '../../shared/waveform/clean-codec.ts'

/** Determined once, because it starts git, which takes 3 ms. */
export const CODE_VERSION = codeVersion()

/** Tenant of recordings that never reach a service. */
const LOCAL_TENANT = 'local'

export interface ScreenedRecording {
  readonly result: Result
  /** The screened window; absent when refused. */
  readonly clean?: CleanWindow | undefined
}

/** The result of the first acceptable window; when there is none, the refusal of the first window. */
export async function screenRecording(
  screener: Screener,
  preparer: WindowPreparer,
  recording: Recording,
): Promise<ScreenedRecording> {
  const { firstSample, durationMs, inputSha256, prepared } = chooseWindow(preparer, recording, recording.heartRateBpm)
  const span = { startedAt: timeOfSample(recording.startedAt, recording.rateHz, firstSample), firstSample, durationMs }
  const window = {
    ecgId: fileEcgId({ tenant: LOCAL_TENANT, sha256: inputSha256 }),
    span,
    quality: prepared.quality,
    warnings: [...(recording.warnings ?? []), ...prepared.warnings],
    measurements: prepared.measurements,
    profile: CARDIACNETS_V1.name,
    inputSha256,
    person: recording.person,
  }
  const { clean } = prepared
  return { result: await screenWindow(screener, window, clean, CODE_VERSION), clean }
}

/** The recording without its facts about the person. */
export const anonymous = ({ person: _, ...recording }: Recording): Recording => recording
