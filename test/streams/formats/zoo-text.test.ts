/**
 * Real files of the text and XML formats against an independent reading (`zoo-expected.json`), made on 2026-11-24 in Python: ElementTree and numpy
 * for aECG and MUSE (limb leads as II−I, −(I+II)/2, …), sierraecg 0.4.0 for Philips with the halves of aVR, aVL and aVF cut off towards zero
 * (sierraecg rounds them down, which differs by one step at negative odd sums: see `sierra/xli.ts`), csv and json of the standard library.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { LEADS } from '../../../shared/domain/leads.ts'
import { type ReadOptions, readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'

const Expected = z.record(
  z.string(),
  z.object({
    rateHz: z.number(),
    startedAt: z.string().optional(),
    /** As `LeadFingerprint`. */
    leads: z.array(z.tuple([z.enum(LEADS), z.number(), z.array(z.int()), z.int(), z.string()])),
  }),
)
const expected = Expected.parse(JSON.parse(readFileSync(new URL('./zoo-expected.json', import.meta.url), 'utf8')))

/** What files leave out. */
const OPTIONS: Readonly<Record<string, ReadOptions>> = { 'movesense/MeasECGmV.csv': { lead: 'I' } }

const read = (file: string) => readRecording(dataPath('format_zoo', file), OPTIONS[file])

describe.skipIf(!hasData)(`real files read independently${NO_DATA}`, () => {
  test.each(Object.keys(expected))('agree: %s', async (file) => {
    const recording = await read(file)

    const { rateHz, startedAt, leads } = expected[file]!
    expect(recording.rateHz).toBe(rateHz)
    expect(recording.startedAt).toBe(startedAt)
    expect(fingerprints(recording)).toEqual(leads)
  })

  test.each(['philips_sierra/1.04.01_2020-5-18_15-48-11.xml', 'philips_sierra/3191723_ZZDEMOPTONLY_1-04_orig.xml'])(
    'have limb leads in %s within half a step of those derived from I and II',
    async (file) => {
      const { leads } = await read(file)

      // The last second is a calibration pulse, which fits no law of limb leads.
      const [one, two, three, right, left, foot] = leads.map(({ samples }) => samples.subarray(0, 5000))
      const farthest = one!.map((I, i) => {
        const [II, III] = [two![i]!, three![i]!]
        const doubled = [2 * (II - I - III), 2 * right![i]! + I + II, 2 * left![i]! - I + III, 2 * foot![i]! - II - III]
        return Math.max(...doubled.map(Math.abs))
      })
      expect(Math.max(...farthest)).toBe(1)
    },
  )

  test.each([
    ['hl7_aecg/fda_subject1_0.xml', { sex: 'male', ageYears: 49 }],
    ['philips_sierra/1.03_129DYPRG.XML', { sex: 'male', ageYears: 50 }],
    ['philips_sierra/1.04.01_2020-5-18_15-48-11.xml', { ageYears: 69 }],
    ['json_zzu_pecg/SVT_P10505_E02.json', { sex: 'female', ageYears: 14.9 }],
    ['ge_muse_xml/braveheart_example1.xml', undefined],
  ])('give a person but no identity: %s', async (file, person) => {
    expect((await read(file)).person).toEqual(person)
  })
})
