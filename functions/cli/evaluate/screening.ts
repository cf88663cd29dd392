/**
 * Screens the files of a cohort one after another, and keeps only what the figures need: log-odds and bundle branch blocks of each file.
 * @module
 */
import type { Person } from '../../../shared/domain/recording.ts'
import { toCodedError } from '../../../shared/errors.ts'
import type { Screener, ScreeningEvidence } from '../../../shared/inference/screener.ts'
import { chooseWindow } from '../../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { type ReadOptions, readRecording } from '../../../streams/formats/index.ts'
import type { Cohort, CohortRow } from './cohort.ts'

/** Outcome of one row. */
export type RowOutcome = { readonly row: CohortRow; readonly about: Person } & (
  | ({ readonly status: 'screened' } & ScreeningEvidence)
  | { readonly status: 'refused' | 'failed'; readonly reason: string }
)

export interface CohortScreeningOptions {
  /** Options for reading every file. */
  readonly read?: ReadOptions
  /** Whether the model is given sex and age, from the cohort or the file. */
  readonly person: boolean
  readonly onRow: () => void
  readonly onError: (error: unknown, file: string) => void
}

/** One outcome per row, in order. A file that cannot be read is also an outcome. */
export async function screenCohort(
  screener: Screener,
  { rows }: Cohort,
  { read = {}, person, onRow, onError }: CohortScreeningOptions,
): Promise<RowOutcome[]> {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const outcomes: RowOutcome[] = []
  for (const row of rows) {
    try {
      const recording = await readRecording(row.file, read)
      const about = { ...recording.person, ...row.about }
      const { prepared } = chooseWindow(preparer, recording, recording.heartRateBpm)
      outcomes.push(
        prepared.clean === undefined
          ? { row, about, status: 'refused', reason: prepared.quality.reasons[0] ?? 'unknown' }
          : { row, about, status: 'screened', ...(await screener.evidence(prepared.clean, person ? about : {})) },
      )
    } catch (error) {
      onError(error, row.file)
      outcomes.push({ row, about: row.about, status: 'failed', reason: toCodedError(error).code })
    }
    onRow()
  }
  return outcomes
}
