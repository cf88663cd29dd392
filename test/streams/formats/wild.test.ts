import { describe, expect, test } from 'vitest'
import { readRecording } from '../../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { fingerprints } from '../../helpers/fingerprint.ts'
import { firstMicrovolts, WILD } from '../../helpers/wild.ts'

describe.skipIf(!hasData)(`files from the wild${NO_DATA}`, () => {
  test.each(WILD)('$file is read as intended', async ({ file, options, starts = [], ...right }) => {
    const recording = await readRecording(dataPath('wild', file), options)

    expect(recording.rateHz).toBe(right.rateHz)
    expect(recording.leads.map(({ name }) => name)).toEqual(right.leads)
    expect(recording.leads[0]!.samples).toHaveLength(right.samples)
    expect((recording.warnings ?? []).map(({ code }) => code)).toEqual(right.warnings ?? [])
    const microvolts = firstMicrovolts(recording, starts.length).map((value) => Number(value.toFixed(6)))
    expect(microvolts).toEqual(starts)
  })

  test.each(WILD.filter(({ sameAs }) => sameAs !== undefined))('$file is the same ECG as $sameAs', async (each) => {
    const one = await readRecording(dataPath('wild', each.file), each.options)
    const other = await readRecording(dataPath('wild', each.sameAs!), each.options)

    expect(fingerprints(one)).toEqual(fingerprints(other))
    expect(one.warnings).toEqual(other.warnings)
  })

  test('name what is left out in a warning', async () => {
    const [bad] = (await readRecording(dataPath('wild/edf/badlead.edf'))).warnings!
    const [cut] = (await readRecording(dataPath('wild/edf/truncated.edf'))).warnings!

    expect(bad).toEqual({ code: 'lead-left-out', leads: ['V2'] })
    expect(cut).toEqual({ code: 'samples-left-out', field: 'record 12' })
  })
})
