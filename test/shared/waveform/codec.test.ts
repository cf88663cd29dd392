import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import type { Waveform } from '../../../shared/domain/waveform.ts'
import { decodeWaveform, encodeWaveform, waveformSha256 } from '../../../shared/waveform/codec.ts'

const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })

const waveforms: fc.Arbitrary<Waveform> = fc
  .record({
    names: fc.uniqueArray(fc.constantFrom(...LEADS), { minLength: 1 }),
    samples: fc.integer({ min: 1, max: 40 }),
    gains: fc.constantFrom([1], [5, 2.5]),
  })
  .chain(({ names, samples, gains }) =>
    fc
      .array(fc.array(int32, { minLength: samples, maxLength: samples }), {
        minLength: names.length,
        maxLength: names.length,
      })
      .map((values) => ({
        rateHz: 500,
        leads: names.map((name, i) => ({
          name,
          gainUv: gains[i % gains.length]!,
          samples: Int32Array.from(values[i]!),
        })),
      })),
  )

describe('encodeWaveform', () => {
  it('preserves every sample in a round trip, for all leads, gains and values', () => {
    fc.assert(
      fc.property(waveforms, (waveform) => {
        const decoded = decodeWaveform(encodeWaveform(waveform))

        expect(decoded.leads).toEqual(waveform.leads)
        expect(decoded.rateHz).toBe(waveform.rateHz)
      }),
    )
  })

  it('keeps a missing sample in a lead that is predicted from others', () => {
    const samples = (...values: number[]) => Int32Array.from(values)
    const waveform: Waveform = {
      rateHz: 500,
      leads: [
        { name: 'III', gainUv: 1, samples: samples(3, MISSING_SAMPLE, 5) },
        { name: 'I', gainUv: 1, samples: samples(1, 2, MISSING_SAMPLE) },
        { name: 'II', gainUv: 1, samples: samples(4, 4, 4) },
      ],
    }

    const decoded = decodeWaveform(encodeWaveform(waveform))

    expect(decoded.leads).toEqual(waveform.leads)
  })
})

describe('decodeWaveform', () => {
  it('rejects malformed bytes with a coded error', () => {
    const good = encodeWaveform({
      rateHz: 500,
      leads: [{ name: 'I', gainUv: 1, samples: new Int32Array(50).map((_, i) => i * i) }],
    })

    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), (at, value, truncate) => {
        const bytes = Buffer.from(truncate ? good.subarray(0, at) : good)
        if (!truncate) bytes[at] = value

        try {
          decodeWaveform(bytes)
        } catch (error) {
          expect(error).toHaveProperty('code', expect.stringMatching(/^(payload|rate|gain|lead|samples)-/))
        }
      }),
    )
  })
})

describe('waveformSha256', () => {
  it('is equal for equal samples and different for different samples', () => {
    const of = (value: number) =>
      waveformSha256({ rateHz: 500, leads: [{ name: 'I', gainUv: 1, samples: Int32Array.of(1, value) }] })

    expect(of(2)).toBe(of(2))
    expect(of(2)).not.toBe(of(3))
  })
})
