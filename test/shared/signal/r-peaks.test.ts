import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { heartRateBpm, RPeakDetector, windowPeaks } from '../../../shared/signal/r-peaks.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { LAYOUTS, readSignal } from '../../../streams/formats/wfdb/signals.ts'
import { dataPath, hasData, headersIn, NO_DATA } from '../../helpers/data-folder.ts'
import { leadMv, syntheticBeats, syntheticRecording } from '../../helpers/recordings.ts'
import { beatAnnotations } from '../../helpers/wfdb-annotations.ts'

const TOLERANCE_S = 0.05

/** Beats found, beats missed and false peaks, between the first and the last beat. */
function score(peaks: Iterable<number>, beats: readonly number[], rateHz: number) {
  const tolerance = TOLERANCE_S * rateHz
  const left = new Set([...peaks].filter((peak) => peak >= beats[0]! - tolerance && peak <= beats.at(-1)! + tolerance))
  let found = 0
  for (const beat of beats) {
    const [nearest] = [...left]
      .filter((peak) => Math.abs(peak - beat) <= tolerance)
      .sort((a, b) => Math.abs(a - beat) - Math.abs(b - beat))
    if (nearest !== undefined && left.delete(nearest)) found++
  }
  return { found, missed: beats.length - found, invented: left.size }
}

describe('RPeakDetector', () => {
  test.each([100, 128, 250, 360, 500, 1000, 2000])('finds R peaks at %i Hz within 10 ms', (rateHz) => {
    const options = { rateHz, heartRateBpm: 83 }
    const lead = leadMv(syntheticRecording(options).leads[1]!)

    const peaks = new RPeakDetector(rateHz).detect([lead])

    const errors = syntheticBeats(options).map((beat, index) => Math.abs(peaks[index]! / rateHz - beat))
    expect(peaks).toHaveLength(errors.length)
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.01)
  })

  test('gives the same peaks regardless of earlier windows', () => {
    const first = leadMv(syntheticRecording({ heartRateBpm: 140 }).leads[1]!)
    const second = leadMv(syntheticRecording({ heartRateBpm: 55 }).leads[1]!)
    const used = new RPeakDetector(500)
    used.detect([first])

    const peaks = [...used.detect([second])]

    expect(peaks).toEqual([...new RPeakDetector(500).detect([second])])
  })

  test.each([0, 1, 30])('finds none in %i samples without a beat', (samples) => {
    const peaks = new RPeakDetector(500).detect([new Float64Array(samples)])

    expect(peaks).toHaveLength(0)
  })

  test('finds them in a lead beside a noisy one', () => {
    const lead = leadMv(syntheticRecording().leads[1]!)
    const noise = Float64Array.from(lead, (_, i) => Math.sin(i * 12.9898) * 3)

    const peaks = new RPeakDetector(500).detect([lead, noise])

    expect(
      score(
        peaks,
        syntheticBeats().map((beat) => beat * 500),
        500,
      ),
    ).toMatchObject({ missed: 0, invented: 0 })
  })
})

describe('heartRateBpm', () => {
  const even = [100, 500, 900, 1300, 1700, 2100, 2500, 2900]

  test('follows the mean RR interval', () => {
    expect(heartRateBpm([0, 400, 900], 500)).toBeCloseTo(60 / 0.9)
  })

  test('is unknown with fewer than two beats', () => {
    expect(heartRateBpm([], 500)).toBeUndefined()
    expect(heartRateBpm([300], 500)).toBeUndefined()
  })

  test.each([
    ['a false beat', [...even, 1450].sort((a, b) => a - b)],
    ['a false first beat', [20, ...even]],
    ['a missed beat', even.filter((beat) => beat !== 1300)],
  ])('is robust in a regular rhythm against %s', (_, beats) => {
    expect(heartRateBpm(beats, 500)).toBeCloseTo(75)
  })

  test('counts every beat of bigeminy', () => {
    const beats = [0, 300, 800, 1100, 1600, 1900, 2400]

    expect(heartRateBpm(beats, 500)).toBeCloseTo(75)
  })

  test('uses whichever leads are present', () => {
    const { leads } = syntheticRecording({ heartRateBpm: 64, leads: ['V1', 'aVL'] })

    const peaks = windowPeaks(new RPeakDetector(500), new Map(leads.map((lead) => [lead.name, leadMv(lead)])))

    expect(heartRateBpm(peaks, 500)).toBeCloseTo(64, 0)
  })

  test('is unknown without leads', () => {
    expect(heartRateBpm(windowPeaks(new RPeakDetector(500), new Map()), 500)).toBeUndefined()
  })
})

describe.skipIf(!hasData)(`R peaks of real ECGs${NO_DATA}`, () => {
  test('agree with LUDB’s annotators on lead II', async () => {
    const detector = new RPeakDetector(500)
    const total = { found: 0, missed: 0, invented: 0 }

    for (const header of headersIn('ludb/data')) {
      const { leads } = await readRecording(header)
      const peaks = detector.detect([leadMv(leads.find(({ name }) => name === 'II')!)])
      const { found, missed, invented } = score(peaks, beatAnnotations(header.replace('.hea', '.ii')), 500)
      total.found += found
      total.missed += missed
      total.invented += invented
    }

    expect(total.found + total.missed).toBe(1831)
    expect(total.found / (total.found + total.missed)).toBeGreaterThanOrEqual(0.99)
    expect(total.found / (total.found + total.invented)).toBeGreaterThanOrEqual(0.99)
  })

  test('agree with the annotators of MIT-BIH record 100 for ten minutes', () => {
    const [rateHz, seconds] = [360, 600]
    const samples = new Int32Array(rateHz * seconds)
    const bytes = readFileSync(dataPath('format_zoo/wfdb_python/100.dat'))
    readSignal(LAYOUTS.get(212)!, bytes, 0, 2, 1024, samples)
    const beats = beatAnnotations(dataPath('format_zoo/wfdb_python/100.atr')).filter((beat) => beat < samples.length)

    const peaks = new RPeakDetector(rateHz).detect([Float64Array.from(samples, (sample) => sample / 200)])

    const { found, missed, invented } = score(peaks, beats, rateHz)
    expect(found / (found + missed)).toBeGreaterThanOrEqual(0.99)
    expect(found / (found + invented)).toBeGreaterThanOrEqual(0.99)
  })

  test.each([
    ['sinus bradycardia', '426177001', 40, 63],
    ['sinus tachycardia', '427084000', 97, 180],
    ['sinus rhythm', '426783006', 50, 105],
  ])('give a rate that fits the label %s', async (_, code, min, max) => {
    const detector = new RPeakDetector(500)
    const rates: number[] = []

    for (const header of headersIn('cinc2021')) {
      const labels = /^#Dx: (.*)$/m.exec(readFileSync(header, 'utf8'))![1]!.trim().split(',')
      if (!labels.includes(code)) continue
      const { leads } = await readRecording(header)
      const peaks = windowPeaks(detector, new Map(leads.map((lead) => [lead.name, leadMv(lead)])))
      rates.push(heartRateBpm(peaks, 500)!)
    }

    expect(rates.length).toBeGreaterThan(5)
    // One label in CinC 2021 (JS20014, a bradycardia of 71 a minute) is at odds with its ECG.
    expect(rates.filter((rate) => !(rate >= min && rate <= max)).length).toBeLessThanOrEqual(1)
  })
})
