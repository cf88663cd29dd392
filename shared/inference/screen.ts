/**
 * Makes a result from a prepared window. Shared by the function `screen` and the CLI.
 * @module
 */
import type { EcgId } from '../domain/ecg-id.ts'
import type { Measurements } from '../domain/measurements.ts'
import type { Quality } from '../domain/quality.ts'
import type { Person } from '../domain/recording.ts'
import { type Finding, NOTICE, type Result, type ScreenedSpan } from '../domain/result.ts'
import type { ResultWarning } from '../domain/warnings.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import type { Screener } from './screener.ts'

/** A window with everything that its result depends on. */
export interface Screenable {
  readonly ecgId: EcgId
  /** 1 unless it corrects an earlier result. */
  readonly version?: number | undefined
  readonly supersedes?: number | undefined
  readonly span: ScreenedSpan
  readonly quality: Quality
  readonly warnings?: readonly ResultWarning[] | undefined
  readonly measurements?: Measurements | undefined
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
  const { version = 1, supersedes, measurements } = window
  const warnings = [...(window.warnings ?? []), ...personWarnings(window.person)]
  const screening = clean === undefined ? undefined : await screener.screen(clean, window.person)
  return {
    ecgId: window.ecgId,
    version,
    ...(supersedes === undefined ? {} : { supersedes }),
    status: screening === undefined ? 'refused' : 'screened',
    span: window.span,
    quality: window.quality,
    warnings,
    ...(screening === undefined || measurements === undefined ? {} : { measurements }),
    findings: withhold(screening?.findings ?? [], warnings),
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

/** Youngest age that the model card covers, years. */
const ADULT_YEARS = 18

function personWarnings(person: Person | undefined): ResultWarning[] {
  const age = person?.ageYears
  return age !== undefined && age < ADULT_YEARS ? [{ code: 'person-not-covered', field: 'age', withholds: true }] : []
}

/** Findings that a warning withholds keep their probability, but are neither flagged nor borderline and have no predictive value. */
function withhold(findings: readonly Finding[], warnings: readonly ResultWarning[]): readonly Finding[] {
  const reason = warnings.find(({ withholds }) => withholds)?.code
  if (reason === undefined) return findings
  return findings.map(({ predictiveValue: _, ...finding }) => ({
    ...finding,
    flagged: false,
    borderline: false,
    withheld: { reason },
  }))
}
