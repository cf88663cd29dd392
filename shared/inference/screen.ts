/**
 * A prepared window becomes a result: what the `screen` function and the CLI share.
 * @module
 */
import type { EcgId } from '../domain/ecg-id.ts'
import type { Quality } from '../domain/quality.ts'
import type { Person } from '../domain/recording.ts'
import { NOTICE, type Result, type ScreenedSpan } from '../domain/result.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import type { Screener } from './screener.ts'

/** One window on its way to a result. */
export interface Screenable {
  readonly ecgId: EcgId
  readonly span: ScreenedSpan
  readonly quality: Quality
  readonly profile: string
  readonly inputSha256: string
  readonly person?: Person | undefined
}

/** The result of one window. Without a clean window it is a refusal: coded reasons, no findings. */
export async function screenWindow(
  screener: Screener,
  window: Screenable,
  clean: CleanWindow | undefined,
  codeVersion: string,
): Promise<Result> {
  const { bundle, site } = screener
  const screening = clean === undefined ? undefined : await screener.screen(clean, window.person)
  return {
    ecgId: window.ecgId,
    status: screening === undefined ? 'refused' : 'screened',
    span: window.span,
    quality: window.quality,
    findings: screening?.findings ?? [],
    indices: screening?.indices ?? [],
    ...(screening?.ood === undefined ? {} : { ood: screening.ood }),
    provenance: {
      modelBundle: `${bundle.manifest.name}@${bundle.manifest.version}`,
      modelSha256: bundle.sha256,
      ...(site === undefined ? {} : { site: site.sha256 }),
      profile: window.profile,
      codeVersion,
      inputSha256: window.inputSha256,
    },
    notice: NOTICE,
  }
}
