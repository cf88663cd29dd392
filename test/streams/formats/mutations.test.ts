import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRecording } from '../../../streams/formats/index.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { type FormatSample, ownSamples, zooSamples } from '../../helpers/format-samples.ts'
import { damage, MAX_CPU_MS_PER_KB, readDamaged } from '../../helpers/mutations.ts'

/** Of processor time: a file that takes longer than this to refuse is an attack. */
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

describe('a mutated file is read, or refused with a code', () => {
  test.each(own.map((sample) => [sample.format, sample.name, sample] as const))(
    '%s (%s): sound, it is read',
    (format, _, sample) => {
      expect(parseRecording(sample.files, sample.options).format).toBe(format)
    },
  )

  test.each(formats)('%s', (format) => {
    survives(
      own.filter((sample) => sample.format === format),
      200,
    )
  })
})

describe.skipIf(!hasData)(`mutated real files are read, or refused with a code${NO_DATA}`, () => {
  test('200 times', () => {
    survives(zooSamples(), 200)
  })
})
