import { describe, expect, it } from 'vitest'
import { SynthesisManifest, samplerOf } from '../../../shared/inference/synthesis-manifest.ts'
import { synthesisManifest } from '../../helpers/synthesis.ts'

describe('the sampler', () => {
  it('is the default where none is named, else the one that is named', () => {
    expect(samplerOf(synthesisManifest()).name).toBe('distilled')
    expect(samplerOf(synthesisManifest(), 'full').steps).toBe(50)
  })

  it('must be one that the bundle has', () => {
    expect(() => samplerOf(synthesisManifest(), 'best')).toThrow(
      expect.objectContaining({ code: 'field-invalid', detail: { field: 'sampler', known: 'full,distilled' } }),
    )
  })
})

describe('the manifest', () => {
  const { samplers, schedule, readout } = synthesisManifest()
  const index = readout.indices[0]!
  const first = samplers[0]!

  it('reads as it was written', () => {
    expect(SynthesisManifest.parse(JSON.parse(JSON.stringify(synthesisManifest())))).toEqual(synthesisManifest())
  })

  it.each([
    ['a default that is not there', { default: 'best' }, 'default'],
    [
      'ε where no signal is left',
      { samplers: [{ ...first, name: 'distilled', prediction: 'epsilon' as const }] },
      'samplers.0.prediction',
    ],
    ['more steps than the schedule has', { schedule: { ...schedule, steps: 40 } }, 'samplers.0.steps'],
    [
      'a weight without a feature',
      { readout: { ...readout, indices: [{ ...index, weights: [1, 2, 3] }] } },
      'readout.indices.0.weights',
    ],
    [
      'an index that is not one of the 82',
      { readout: { ...readout, indices: [{ ...index, id: 'lvColour' }] } },
      'readout.indices.0.id',
    ],
  ])('with %s names the field', (_, changes, path) => {
    const { error } = SynthesisManifest.safeParse({ ...synthesisManifest(), ...changes })

    expect(error?.issues.map((issue) => issue.path.join('.'))).toEqual([path])
  })
})
