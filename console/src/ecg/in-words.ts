/**
 * An ECG in words, for screen readers.
 * @module
 */
import type { Result } from '../../../shared/domain/result.ts'
import { t } from '../i18n/index.ts'
import { number } from '../ui/format.ts'
import { type Recording, secondsOf } from './recording.ts'

/** One sentence: leads, length and heart rate. */
export function inWords(recording: Recording, result: Result | undefined): string {
  const leads = [...recording.traces.keys()]
  const rate = result?.quality.heartRateBpm
  return t('ecg.inWords', {
    count: leads.length,
    seconds: number(secondsOf(recording), 1),
    rate: rate == null ? t('ecg.rateUnknown') : `${number(rate)} bpm`,
  })
}
