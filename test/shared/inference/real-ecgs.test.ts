import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { type Recording, sampleCount } from '../../../shared/domain/recording.ts'
import { cutWindow } from '../../../shared/domain/window.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { screenWindow } from '../../../shared/inference/screen.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { Resampler } from '../../../shared/signal/resample.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { CLEAN_STEPS, type CleanWindow } from '../../../shared/waveform/clean-codec.ts'
import { encodeWaveform, waveformSha256 } from '../../../shared/waveform/codec.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { hasData, headersIn, NO_DATA } from '../../helpers/data-folder.ts'

describe.skipIf(!hasData)(`real ECGs${NO_DATA}`, () => {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  let recordings: readonly Recording[]
  let screener: Screener

  beforeAll(async () => {
    const headers = ['ptbxl500', 'cinc2021', join('ludb', 'data')].flatMap((folder) => headersIn(folder))
    recordings = await Promise.all(headers.map((header) => readRecording(header)))
    screener = await Screener.load(await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name))
  })

  afterAll(() => screener.release())

  it('are screened at 500 Hz, or refused with a reason', { timeout: 120_000 }, async () => {
    expect(recordings.length).toBeGreaterThanOrEqual(380)

    let refused = 0
    for (const recording of recordings) {
      const window = cutWindow(recording, 0)
      const { quality, clean } = preparer.prepare(window, recording.heartRateBpm)
      const inputSha256 = waveformSha256(window)
      const of = {
        ecgId: fileEcgId({ tenant: 'test', sha256: inputSha256 }),
        span: { startedAt: null, firstSample: 0, durationMs: 10_000 },
        quality,
        profile: CARDIACNETS_V1.name,
        inputSha256,
        person: recording.person,
      }
      const result = await screenWindow(screener, of, clean, 'test')

      if (result.status === 'refused') {
        refused++
        expect(quality.reasons.length).toBeGreaterThan(0)
        continue
      }
      expect(quality.heartRateBpm).toBeGreaterThan(25)
      expect(result.findings).toHaveLength(5)
      for (const { probability } of result.findings) expect(probability >= 0 && probability <= 1).toBe(true)
      expect(result.indices).toHaveLength(82)
      for (const { value, low, high } of result.indices) expect(low < value && value < high).toBe(true)
    }
    // A gate that refuses real ECGs often is no use; docs/quality-gate.md explains each one.
    expect(refused).toBeLessThan(0.03 * recordings.length)
  })

  it('fit inline into messages in at least 95% of cases', () => {
    const limit = (64 * 1024 - 2048) * 0.75
    const windows = recordings.filter((recording) => sampleCount(recording) >= 5000).map((each) => cutWindow(each, 0))

    const inline = windows.filter((window) => encodeWaveform(window).length <= limit)

    expect(inline.length).toBeGreaterThanOrEqual(0.95 * windows.length)
  })

  it('get the same embedding and verdict at 100 Hz as at 500 Hz', {
    timeout: 120_000,
  }, async () => {
    const encoder = await InferenceSession.create(join(SHIPPED_BUNDLE, 'screen.onnx'), { intraOpNumThreads: 1 })
    const similarities: number[] = []
    let otherVerdicts = 0
    const sources = recordings.filter((recording) => sampleCount(recording) >= 5000).slice(0, 186)
    for (const recording of sources) {
      const window = cutWindow(recording, 0)
      const fast = preparer.prepare(window)
      const slow = preparer.prepare(atHundredHertz(window))
      // Pacing spikes are lost at 100 Hz and cannot be detected there.
      if (fast.quality.reasons.includes('paced')) continue
      if (fast.quality.verdict !== slow.quality.verdict) otherVerdicts++
      if (fast.clean === undefined || slow.clean === undefined) continue
      similarities.push(cosine(await embed(encoder, fast.clean), await embed(encoder, slow.clean)))
    }
    await encoder.release()

    similarities.sort((a, b) => a - b)
    expect(otherVerdicts).toBeLessThanOrEqual(0.01 * sources.length)
    expect(similarities[Math.floor(similarities.length / 2)]).toBeGreaterThan(0.999)
    expect(similarities[Math.floor(similarities.length / 20)]).toBeGreaterThan(0.99)
  })
})

/** The same signal as a 100 Hz device would have recorded it. */
function atHundredHertz({ leads, rateHz }: ReturnType<typeof cutWindow>) {
  const resampler = new Resampler(rateHz, 100)
  return {
    rateHz: 100,
    leads: leads.map((lead) => {
      const output = new Float64Array((lead.samples.length * 100) / rateHz)
      resampler.run(Float64Array.from(lead.samples), output)
      return { ...lead, samples: Int32Array.from(output, Math.round) }
    }),
  }
}

async function embed(encoder: InferenceSession, { codes, amplitude, leadMask }: CleanWindow): Promise<Float32Array> {
  const { embedding } = await encoder.run({
    ecg: new Tensor(
      'float32',
      Float32Array.from(codes, (code) => code / CLEAN_STEPS),
      [1, 12, codes.length / 12],
    ),
    amplitude: new Tensor('float32', amplitude, [1, 12, 2]),
    lead_mask: new Tensor('float32', Float32Array.from(leadMask), [1, 12]),
    person: new Tensor('float32', new Float32Array(4), [1, 4]),
    person_mask: new Tensor('float32', new Float32Array(4), [1, 4]),
  })
  if (embedding?.data instanceof Float32Array) return embedding.data
  throw new Error('the encoder has no embedding')
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}
