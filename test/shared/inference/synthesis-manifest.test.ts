import { describe, expect, it } from 'vitest'
import { SynthesisManifest, samplerOf } from '../../../shared/inference/synthesis-manifest.ts'
import { synthesisManifest } from '../../helpers/synthesis.ts'

describe('the sampler', () => {
  it('defaults to the bundle’s, and can be named', () => {
    expect(samplerOf(synthesisManifest()).name).toBe('distilled')
    expect(samplerOf(synthesisManifest(), 'full').steps).toBe(50)
  })

  it('must exist in the bundle', () => {
    expect(() => samplerOf(synthesisManifest(), 'best')).toThrow(
      expect.objectContaining({ code: 'field-invalid', detail: { field: 'sampler', known: 'full,distilled' } }),
    )
  })
})

describe('SynthesisManifest', () => {
  const { samplers, schedule, readout } = synthesisManifest()
  const index = readout.indices[0]!
  const first = samplers[0]!

  it('survives a round trip through JSON', () => {
    expect(SynthesisManifest.parse(JSON.parse(JSON.stringify(synthesisManifest())))).toEqual(synthesisManifest())
  })

  it.each([
    ['an unknown default sampler', { default: 'best' }, 'default'],
    [
      'prediction of ε at zero signal',
      { samplers: [{ ...first, name: 'distilled', prediction: 'epsilon' as const }] },
      'samplers.0.prediction',
    ],
    ['more steps than the schedule', { schedule: { ...schedule, steps: 40 } }, 'samplers.0.steps'],
    [
      'a weight without a feature',
      { readout: { ...readout, indices: [{ ...index, weights: [1, 2, 3] }] } },
      'readout.indices.0.weights',
    ],
    ['an unknown index', { readout: { ...readout, indices: [{ ...index, id: 'lvColour' }] } }, 'readout.indices.0.id'],
  ])('names the field for %s', (_, changes, path) => {
    const { error } = SynthesisManifest.safeParse({ ...synthesisManifest(), ...changes })

    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })
})
