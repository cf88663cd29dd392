import { describe, expect, it } from 'vitest'
import { CodedError } from '../../shared/errors.ts'
import { parseRecording } from '../../streams/formats/index.ts'
import { SLOW_INPUTS } from '../helpers/slow-inputs.ts'

/** Of processor time, for a file of up to 200 kB that took from 20 s to minutes. */
const MAX_CPU_MS = 1000

describe('a file of one long run is read in limited time', () => {
  it.each(Object.entries(SLOW_INPUTS))('%s', (_, [format, content]) => {
    const bytes = Buffer.from(content)
    const before = process.threadCpuUsage()

    for (const options of [{}, { format, rateHz: 500, unit: 'mV' as const, lead: 'I' }]) {
      try {
        parseRecording([{ name: 'upload', bytes }], options)
      } catch (error) {
        expect(error).toBeInstanceOf(CodedError)
      }
    }

    const { user, system } = process.threadCpuUsage(before)
    expect((user + system) / 1000).toBeLessThan(MAX_CPU_MS)
  })
})
