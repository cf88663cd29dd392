import { expect } from 'vitest'
import type { StreamReport } from '../../../../streams/mqtt/device.ts'
import { sampleAt } from './factories.ts'
import type { Responder } from './responder.ts'

/** Every window has exactly one distinct result, and each time that it was sent its samples were those of the recording. */
export function expectEachOnce(report: StreamReport, responder: Responder): void {
  expect(report.problems).toEqual([])
  expect(report.windows.map(({ results }) => results)).toEqual(report.windows.map(() => 1))
  for (const { ecgId, firstSample } of report.windows) {
    const sent = responder.windows.filter(({ message }) => message.ecgId === ecgId)
    for (const [index, { samples }] of sent.flatMap(({ waveform }) => [...waveform.leads.entries()])) {
      expect(samples).toEqual(Int32Array.from(samples, (_, at) => sampleAt(index, firstSample + at)))
    }
  }
}
