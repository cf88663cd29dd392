import { readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { segmentsOf } from '../../console/src/ecg/layout.ts'
import type { Note } from '../../console/src/ecg/paper.ts'
import { add, newRecording } from '../../console/src/ecg/recording.ts'
import { sheetSvg } from '../../console/src/ecg/svg.ts'
import { LEADS, type LeadName } from '../../shared/domain/leads.ts'
import { MISSING_SAMPLE, type Recording } from '../../shared/domain/recording.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { dataPath, hasData, NO_DATA } from '../helpers/data-folder.ts'

/** The first ten seconds as the API hands them out (`GET /v1/ecgs/{id}/waveform`). */
function pieceOf({ rateHz, leads }: Recording) {
  const end = Math.round(10 * rateHz)
  return {
    ecgId: '',
    notice: '',
    version: 1,
    rateHz,
    samples: leads[0]?.samples.length ?? 0,
    firstSample: 0,
    leads: leads.map(({ name, gainUv, samples }) => ({
      name,
      gainUv,
      samples: Array.from(samples.subarray(0, end), (sample) => (sample === MISSING_SAMPLE ? null : sample)),
    })),
  }
}

/** What stands on the paper of each lead: its points, or the words in their place. */
function drawn(recording: Recording): ReadonlyMap<LeadName, number | string> {
  const piece = pieceOf(recording)
  const shown = newRecording(piece)
  add(shown, piece)
  const view = { layout: '12x1', isCabrera: false, gain: 10, mmPerS: 25, from: 0, seconds: 10 } as const
  const noteOf = ({ lead }: { lead: LeadName }): Note | undefined =>
    shown.traces.has(lead) && !shown.silent.has(lead) ? undefined : { text: 'not recorded', isDrawn: false }
  const svg = sheetSvg({ recording: shown, view, noteOf, heading: [], footing: [] })
  // A name, and the trace after it where there is one.
  const parts = svg.split('<text ').slice(1)
  return new Map(
    segmentsOf(view.layout, view.isCabrera, view.seconds).map(({ lead }, i) => {
      const part = parts[i] ?? ''
      const points = part.match(/[ML]-?\d/g)?.length ?? 0
      return [lead, part.includes('not recorded') ? 'not recorded' : points]
    }),
  )
}

describe.skipIf(!hasData)(`the ECG paper of each file in the format zoo${NO_DATA}`, () => {
  it('shows every recorded or derived lead, and marks the others as not recorded', async () => {
    const files = readdirSync(dataPath('format_zoo'), { recursive: true, encoding: 'utf8' })
    let count = 0
    for (const file of files) {
      const recording = await readRecording(dataPath('format_zoo', file)).catch(() => undefined)
      if (recording === undefined) continue
      count++
      // Some recorders name leads that were not connected.
      const sampled = pieceOf(recording).leads.filter(({ samples }) => samples.some((sample) => sample !== null))
      const names = new Set(sampled.map(({ name }) => name))
      const paper = drawn(recording)
      for (const lead of LEADS) {
        const follows = ['III', 'aVR', 'aVL', 'aVF'].includes(lead) && names.has('I') && names.has('II')
        const isThere = names.has(lead) || follows
        const found = paper.get(lead)
        if (isThere) expect(found, `${file}: ${lead}`).toBeGreaterThan(100)
        else expect(found, `${file}: ${lead}`).toBe('not recorded')
      }
    }
    expect(count).toBeGreaterThan(5)
  }, 60_000)
})
