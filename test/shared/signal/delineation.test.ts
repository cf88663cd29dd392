import { describe, expect, it } from 'vitest'
import type { LeadName } from '../../../shared/domain/leads.ts'
import type { Measurements } from '../../../shared/domain/measurements.ts'
import type { Recording } from '../../../shared/domain/recording.ts'
import { MEASUREMENT_METHOD, measureBeats } from '../../../shared/signal/measurements.ts'
import { BeatAverager } from '../../../shared/signal/median-beat.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { blockQrs, separation } from '../../helpers/block-qrs.ts'
import { randomNumbers } from '../../helpers/corruptions.ts'
import { hasData, NO_DATA } from '../../helpers/data-folder.ts'
import { median, studyDelineation } from '../../helpers/delineation-study.ts'
import { healthyQrs } from '../../helpers/healthy-qrs.ts'
import { leadMv, syntheticBeats, syntheticRecording } from '../../helpers/recordings.ts'

const measure = (recording: Recording): Measurements | undefined =>
  new WindowPreparer(CARDIACNETS_V1).prepare(recording).measurements

/** The bells that a synthetic beat is drawn from, at 2.3 (P, T) and 2.6 (QRS) standard deviations. */
const TRUTH_MS = { pMs: 101, prMs: 171, qrsMs: 103, qtMs: 413 }

/** The recording with a change of each sample of each lead. */
function changed(recording: Recording, change: (uv: number, sample: number, lead: LeadName) => number): Recording {
  return {
    ...recording,
    leads: recording.leads.map((lead) => ({
      ...lead,
      samples: lead.samples.map((value, i) => Math.round(change(value, i, lead.name))),
    })),
  }
}

describe('measurements of a synthetic ECG', () => {
  it.each([
    ['60 beats/min, 500 Hz', { heartRateBpm: 60 }],
    ['95 beats/min, 1000 Hz', { heartRateBpm: 95, rateHz: 1000 }],
    ['72 beats/min, 250 Hz', { heartRateBpm: 72, rateHz: 250 }],
  ])('recover its parameters (%s)', (_, options) => {
    const measured = measure(syntheticRecording(options))!

    for (const [name, truth] of Object.entries(TRUTH_MS)) {
      expect(Math.abs(measured[name as keyof typeof TRUTH_MS]! - truth), name).toBeLessThanOrEqual(12)
    }
    expect(measured.heartRateBpm).toBeCloseTo(options.heartRateBpm, 0)
    const { qtMs = 0, rrMs = 0 } = measured
    expect(measured.qtcBazettMs).toBe(Math.round(qtMs / Math.sqrt(rrMs / 1000)))
    expect(measured.qtcFridericiaMs).toBe(Math.round(qtMs / Math.cbrt(rrMs / 1000)))
  })

  it('stay within 20 ms under noise, hum and baseline wander', () => {
    const random = randomNumbers(7)
    const noisy = changed(syntheticRecording({ heartRateBpm: 66 }), (uv, i) => {
      const hum = 10 * Math.sin((2 * Math.PI * 50 * i) / 500)
      const wander = 300 * Math.sin((2 * Math.PI * 0.25 * i) / 500)
      return uv + hum + wander + 60 * (random() - 0.5)
    })

    const measured = measure(noisy)!

    for (const [name, truth] of Object.entries(TRUTH_MS)) {
      expect(Math.abs(measured[name as keyof typeof TRUTH_MS]! - truth), name).toBeLessThanOrEqual(20)
    }
  })

  it('give the axis of the net QRS area', () => {
    // Lead I sees the same complex 0.6 times, aVF 0.7 times: atan2(2/√3 · 0.7, 0.6).
    expect(measure(syntheticRecording())!.axisDegrees).toBe(53)
  })

  it('leave out P when there is no P wave', () => {
    const beats = syntheticBeats()
    const flattened = changed(syntheticRecording(), (uv, i) =>
      beats.some((beat) => i / 500 > beat - 0.3 && i / 500 < beat - 0.07) ? 0 : uv,
    )

    const measured = measure(flattened)!

    expect(measured.prMs).toBeUndefined()
    expect(measured.pMs).toBeUndefined()
    expect(measured.qrsMs).toBeDefined()
    expect(measured.qtMs).toBeDefined()
  })

  it('leave out P in atrial fibrillation, when a wave runs independently of the QRS complexes', () => {
    const beats = syntheticBeats()
    const fibrillating = changed(syntheticRecording(), (uv, i) => {
      const time = i / 500
      const isP = beats.some((beat) => time > beat - 0.3 && time < beat - 0.07)
      return (isP ? 0 : uv) + 60 * Math.sin(2 * Math.PI * 6.37 * time + 2 * Math.sin(2 * time))
    })

    expect(measure(fibrillating)!.prMs).toBeUndefined()
  })

  it('leave out QT when there is no T wave', () => {
    const beats = syntheticBeats()
    const flattened = changed(syntheticRecording(), (uv, i) =>
      beats.some((beat) => i / 500 > beat + 0.07 && i / 500 < beat + 0.5) ? 0 : uv,
    )

    const measured = measure(flattened)!

    expect(measured.qtMs).toBeUndefined()
    expect(measured.qtcBazettMs).toBeUndefined()
    expect(measured.qrsMs).toBeDefined()
  })

  it('leave out the axis without limb leads, and QTc in an irregular rhythm', () => {
    expect(measure(syntheticRecording({ leads: ['V1', 'V2', 'V5'] }))!.axisDegrees).toBeUndefined()
    const whole = syntheticRecording({ heartRateBpm: 60 })
    // The second half runs at another rate: RR intervals of 1.0 and 0.6 s.
    const fast = syntheticRecording({ heartRateBpm: 100 })
    const uneven = {
      ...whole,
      leads: whole.leads.map((lead, i) => ({
        ...lead,
        samples: lead.samples.map((value, at) => (at < 2500 ? value : fast.leads[i]!.samples[at]!)),
      })),
    }

    const measured = measure(uneven)!

    expect(measured.qtcBazettMs).toBeUndefined()
    expect(measured.heartRateBpm).toBeDefined()
  })

  it('give only the heart rate when no three beats are alike', () => {
    const { leads } = syntheticRecording({ heartRateBpm: 60 })
    const mv = new Map(leads.map((lead) => [lead.name, leadMv(lead)]))

    const measured = measureBeats(new BeatAverager(500, 5000).average(mv, [750, 1250]), [750, 1250], 500)

    expect(measured).toEqual({ method: MEASUREMENT_METHOD, heartRateBpm: 60, rrMs: 1000 })
  })

  it('do not depend on earlier measurements', () => {
    const preparer = new WindowPreparer(CARDIACNETS_V1)
    const first = preparer.prepare(syntheticRecording()).measurements
    preparer.prepare(syntheticRecording({ heartRateBpm: 130, rateHz: 250 }))

    expect(preparer.prepare(syntheticRecording()).measurements).toEqual(first)
  })

  it('are absent from a refused window', () => {
    const { quality, measurements } = new WindowPreparer(CARDIACNETS_V1).prepare(syntheticRecording({ seconds: 4 }))

    expect(quality.verdict).toBe('refused')
    expect(measurements).toBeUndefined()
  })
})

describe.skipIf(!hasData)(`QRS of healthy people${NO_DATA}`, () => {
  it('is as long as published ones at 500 Hz: women 85 ± 8 ms, men 8 ms longer', async () => {
    const { at500Hz } = await healthyQrs(0)

    expect(Math.abs(median(at500Hz.women) - 85)).toBeLessThanOrEqual(8)
    expect(Math.abs(median(at500Hz.men) - 93)).toBeLessThanOrEqual(8)
  }, 120_000)
})

describe.skipIf(!hasData)(`QRS of bundle branch blocks${NO_DATA}`, () => {
  it('parts complete from incomplete right ones near 120 ms, as readers do', () => {
    const found = blockQrs([1], 0)
    const of = (name: 'IRBBB' | 'CRBBB') => found.get(name)!.map(({ ours }) => ours)

    const { cut, auroc } = separation(of('IRBBB'), of('CRBBB'))

    expect(Math.abs(cut - 120)).toBeLessThanOrEqual(12)
    expect(auroc).toBeGreaterThan(0.85)
  }, 120_000)
})

describe.skipIf(!hasData)(`delineation compared with LUDB’s annotators${NO_DATA}`, () => {
  it('matches the figures of docs/delineation.md', async () => {
    const { boundaries, intervals, qrs, silent } = await studyDelineation([40, 150])

    expect(silent).toBeLessThanOrEqual(2)
    const f1 = (key: string, toleranceMs: number) => {
      const { found, missed, invented } = boundaries.get(toleranceMs)!.get(key)!
      return (2 * found) / (2 * found + missed + invented)
    }
    expect(f1('qrs onset', 40)).toBeGreaterThan(0.96)
    expect(f1('qrs end', 40)).toBeGreaterThan(0.95)
    expect(f1('p onset', 150)).toBeGreaterThan(0.84)
    expect(f1('t end', 150)).toBeGreaterThan(0.91)
    expect(Math.abs(median(intervals.qt))).toBeLessThanOrEqual(20)
    expect(Math.abs(median(intervals.pr))).toBeLessThanOrEqual(12)
    expect(Math.abs(median(intervals.qrs))).toBeLessThanOrEqual(20)
    // No lead shows a wave at our onset: IEC 60601-2-51 has 30 µV.
    expect(median(qrs.ourOnsetUv)).toBeLessThan(30)
  }, 120_000)
})
