import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRecording } from '../../../streams/formats/index.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { type FormatSample, ownSamples, zooSamples } from '../../helpers/format-samples.ts'
import { damage, MAX_CPU_MS_PER_KB, readDamaged } from '../../helpers/mutations.ts'

/** CPU time: a file that takes longer to refuse is an attack. */
const MAX_CPU_MS = 2000

const own = ownSamples()
const formats = [...new Set(own.map(({ format }) => format))]

function survives(samples: readonly FormatSample[], numRuns: number) {
  fc.assert(
    fc.property(fc.constantFrom(...samples.keys()), fc.nat(), damage, (index, other, how) => {
      const donor = samples[other % samples.length]!.files.at(-1)!.bytes
      const { cpuMs, cpuMsPerKb } = readDamaged(samples[index]!, donor, how)
      expect(cpuMs).toBeLessThan(MAX_CPU_MS)
      expect(cpuMsPerKb).toBeLessThan(MAX_CPU_MS_PER_KB)
    }),
    { numRuns },
  )
}

describe('parseRecording on mutated files', () => {
  test.each(own.map((sample) => [sample.format, sample.name, sample] as const))(
    'reads %s unmutated (%s)',
    (format, _, sample) => {
      expect(parseRecording(sample.files, sample.options).format).toBe(format)
    },
  )

  test.each(formats)('reads or refuses %s with a code', (format) => {
    survives(
      own.filter((sample) => sample.format === format),
      200,
    )
  })
})

describe.skipIf(!hasData)(`parseRecording on mutated real files${NO_DATA}`, () => {
  test('reads or refuses 200 mutations with a code', () => {
    survives(zooSamples(), 200)
  })
})
