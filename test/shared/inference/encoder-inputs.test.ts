import { describe, expect, it } from 'vitest'
import { samplesOf } from '../../../shared/inference/session.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { CLEAN_STEPS } from '../../../shared/waveform/clean-codec.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

const TURNS = 40
const CLEAN = new WindowPreparer(CARDIACNETS_V1).prepare(syntheticRecording()).clean!

/** Least time of several calls, ms: the first ones compile, and some are interrupted. */
function fastest(work: () => unknown): number {
  const times = Array.from({ length: TURNS }, () => {
    const start = performance.now()
    work()
    return performance.now() - start
  })
  return Math.min(...times)
}

describe('samplesOf', () => {
  it('returns the codes as shares of the full range', () => {
    expect([...samplesOf(CLEAN)]).toEqual([...CLEAN.codes].map((code) => Math.fround(code / CLEAN_STEPS)))
  })

  // `Float32Array.from(codes, f)` took 7 to 40 times as long, more than the inference.
  it('takes about as long as a plain loop', () => {
    const { codes } = CLEAN
    const loop = () => {
      const samples = new Float32Array(codes.length)
      for (let i = 0; i < samples.length; i++) samples[i] = codes[i]! / CLEAN_STEPS
      return samples
    }

    expect(fastest(() => samplesOf(CLEAN)) / fastest(loop)).toBeLessThan(3)
  })
})
