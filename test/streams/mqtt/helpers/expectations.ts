import { expect } from 'vitest'
import { MISSING_SAMPLE } from '../../../../shared/domain/recording.ts'
import type { StreamReport } from '../../../../streams/mqtt/device.ts'
import { sampleAt } from './factories.ts'
import type { Responder } from './responder.ts'

/**
 * Every window has exactly one distinct result a version. The samples of its newest version are those of the recording, and no version has
 * others. A version before may lack samples: a window is closed short where the machine is too slow for the frames behind a gap, and corrected.
 */
export function expectEachOnce(report: StreamReport, responder: Responder): void {
  expect(report.problems).toEqual([])
  expect(report.windows.map(({ results }) => results)).toEqual(report.windows.map(() => 1))
  for (const { ecgId, firstSample } of report.windows) {
    const sent = responder.windows.filter(({ message }) => message.ecgId === ecgId)
    const newest = Math.max(...sent.map(({ message }) => message.version ?? 1))
    for (const { message, waveform } of sent) {
      const isNewest = (message.version ?? 1) === newest
      for (const [index, { samples }] of [...waveform.leads.values()].entries()) {
        const isMissing = (at: number) => !isNewest && samples[at] === MISSING_SAMPLE
        expect(samples).toEqual(
          samples.map((sample, at) => (isMissing(at) ? sample : sampleAt(index, firstSample + at))),
        )
      }
    }
  }
}
