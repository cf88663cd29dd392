import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bundle, readBundle } from '../../../shared/inference/bundle.ts'
import { interpolateCycle } from '../../../shared/inference/cardiac-cycle.ts'
import { ddimSteps } from '../../../shared/inference/ddim.ts'
import { type Condition, sampleLatent, viewTensor } from '../../../shared/inference/sample-latent.ts'
import { encoderInputs, numbers, openSession } from '../../../shared/inference/session.ts'
import { samplerOf, type View } from '../../../shared/inference/synthesis-manifest.ts'
import { type ScreenInput, Synthesizer } from '../../../shared/inference/synthesizer.ts'
import { TINY_BUNDLE } from '../../helpers/synthesis.ts'

/** What PyTorch made with the same weights (`cardiacnets.cli.synthesis_fixture`). */
interface Reference {
  readonly tokens: readonly number[]
  readonly embedding: readonly number[]
  readonly cases: readonly {
    readonly view: View
    readonly sampler: string
    readonly guidance: number
    readonly latent: readonly number[]
    readonly frame: readonly number[]
  }[]
}

const reference: Reference = JSON.parse(readFileSync(join(TINY_BUNDLE, 'reference.json'), 'utf8'))

/** The reference's ECG: lead l is sin(2π·(1 + 2l/11)·k/500). */
const input: ScreenInput = {
  clean: {
    codes: Int16Array.from({ length: 60_000 }, (_, i) => {
      const [lead, k] = [Math.floor(i / 5000), i % 5000]
      return Math.round(4095 * Math.sin((2 * Math.PI * (1 + (2 * lead) / 11) * k) / 500))
    }),
    amplitude: Float32Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? -0.5 : 1)),
    leadMask: new Uint8Array(12).fill(1),
  },
  person: { sex: 'male', ageYears: 60, heightCm: 170, weightKg: 80 },
}

let bundle: Bundle

beforeAll(async () => {
  bundle = await readBundle(TINY_BUNDLE, 'cardiacnets-v1')
})

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number) {
  expect(actual.length).toBe(expected.length)
  const worst = Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value) / Math.max(1, Math.abs(value))))
  expect(worst).toBeLessThan(tolerance)
}

describe('Synthesizer compared with PyTorch on the same noise', () => {
  const open: InferenceSession[] = []
  const session = async (file: string) => {
    const opened = await openSession(bundle, file, { threads: 1 })
    open.push(opened)
    return opened
  }

  afterAll(() => Promise.all(open.map((each) => each.release())))

  it('gives the same tokens and embedding', async () => {
    const encoder = await session('encoder.onnx')

    const outputs = await encoder.run(encoderInputs(input.clean, input.person!))

    const tokens = numbers(outputs, 'tokens')
    // The window is held in steps of 1/4095, the reference is not.
    expectClose(
      tokens.filter((_, i) => i % 192 < 8),
      reference.tokens,
      1e-3,
    )
    expectClose(numbers(outputs, 'embedding'), reference.embedding, 1e-3)
  })

  it.each(reference.cases)(
    'gives the same latent and frames: $view by $sampler with guidance $guidance',
    async (expected) => {
      const { latent, views, schedule } = bundle.manifest.synthesis!
      const { index, latentSize, size } = views[expected.view]
      const sampler = samplerOf(bundle.manifest.synthesis!, expected.sampler)
      const dims = [latent.channels, latent.frames, latentSize, latentSize] as const
      const start = waves(latent.channels * latent.frames * latentSize ** 2)

      const sampled = await sampleLatent(await session(sampler.file), start, {
        ...referenceCondition(),
        dims,
        view: index,
        guidance: expected.guidance,
        steps: ddimSteps(schedule, sampler.prediction, sampler.steps),
      })
      const decoded = await (await session('decoder.onnx')).run({
        latent: new Tensor('float32', sampled, [1, ...dims]),
        view: viewTensor(index, 1),
      })

      const sparse = sampled.filter((_, i) => {
        const [frame, row, column] = [
          Math.floor(i / latentSize ** 2) % latent.frames,
          Math.floor(i / latentSize) % latentSize,
          i % latentSize,
        ]
        return frame % 5 === 0 && row % 2 === 0 && column % 2 === 0
      })
      expectClose(sparse, expected.latent, 1e-4)
      const frame = numbers(decoded, 'frames').subarray(3 * size * size, 4 * size * size)
      expectClose(
        frame.filter((_, i) => Math.floor(i / size) % 8 === 0 && (i % size) % 8 === 0),
        expected.frame,
        1e-4,
      )
    },
  )

  /** Of the tokens, the reference has the first eight of 192; the tiny encoder repeats them. */
  function referenceCondition(): Condition {
    const tokens = Float32Array.from({ length: 32 * 192 }, (_, i) => {
      const [token, feature] = [Math.floor(i / 192), i % 192]
      return reference.tokens[token * 8 + (feature % 8)]!
    })
    return {
      tokens: new Tensor('float32', tokens, [1, 32, 192]),
      embedding: Float32Array.from(reference.embedding),
    }
  }

  const waves = (length: number) => Float32Array.from({ length }, (_, k) => Math.SQRT2 * Math.sin(0.37 * k ** 2))
})

describe('Synthesizer.draw', () => {
  let full: Synthesizer
  let distilled: Synthesizer

  beforeAll(async () => {
    full = await Synthesizer.open(bundle, { sampler: 'full', threads: 1 })
    distilled = await Synthesizer.open(bundle, { threads: 1 })
  })

  afterAll(() => Promise.all([full.release(), distilled.release()]))

  it('returns two cines of the sizes in the manifest', async () => {
    const { sax, '4ch': fourChamber } = await distilled.draw(input, { seed: 1 })

    expect(sax).toMatchObject({ view: 'sax', count: 50, height: 80, width: 80, spacingMm: 1.8 })
    expect(sax.frames).toHaveLength(50 * 80 * 80)
    expect(fourChamber).toMatchObject({ view: '4ch', count: 50, height: 96, width: 96 })
    expect(fourChamber.frames).toHaveLength(50 * 96 * 96)
    expect(new Set(sax.frames).size).toBeGreaterThan(20)
  })

  it('returns the same bytes for the same seed in any instance, and others for another seed', async () => {
    const again = await Synthesizer.open(bundle, { threads: 2 })

    const first = await distilled.draw(input, { seed: 4_294_967_295 })
    const second = await again.draw(input, { seed: 4_294_967_295 })
    const third = await distilled.draw(input, { seed: 1 })

    expect(second).toEqual(first)
    expect(third.sax.frames).not.toEqual(first.sax.frames)
    await again.release()
  })

  it('depends on the ECG', async () => {
    const flipped = { ...input, clean: { ...input.clean, codes: input.clean.codes.map((code) => -code) } }

    const [of, other] = [await distilled.draw(input, { seed: 1 }), await distilled.draw(flipped, { seed: 1 })]

    expect(other.sax.frames).not.toEqual(of.sax.frames)
  })

  it('gives the same frames at guidance 1 with and without the unguided half', async () => {
    const alone = await full.draw(input, { seed: 3, steps: 6, guidance: 1 })
    // The least guidance that is not 1: the same but for rounding, by the path with both halves.
    const both = await full.draw(input, { seed: 3, steps: 6, guidance: 1 + Number.EPSILON })

    for (const view of ['sax', '4ch'] as const) {
      const worst = alone[view].frames.reduce(
        (most, grey, i) => Math.max(most, Math.abs(grey - both[view].frames[i]!)),
        0,
      )
      expect(worst).toBeLessThanOrEqual(1)
    }
  })

  it('gives other frames with guidance', async () => {
    const plain = await full.draw(input, { seed: 3, steps: 6, guidance: 1 })
    const guided = await full.draw(input, { seed: 3, steps: 6 })

    expect(guided.sax.frames).not.toEqual(plain.sax.frames)
  })

  it('reports progress over both views', async () => {
    const seen: string[] = []

    await distilled.draw(input, { seed: 1, steps: 3, onProgress: (step, steps) => seen.push(`${step}/${steps}`) })

    expect(seen).toEqual(['1/6', '2/6', '3/6', '4/6', '5/6', '6/6'])
  })

  it('stops at the next step when it is cancelled', async () => {
    const controller = new AbortController()
    let steps = 0
    const drawing = full.draw(input, {
      seed: 1,
      signal: controller.signal,
      onProgress: (step) => {
        steps = step
        // As a signal or a message would: by the event loop, not from within the step.
        if (step === 2) setTimeout(() => controller.abort(new Error('cancelled')), 0)
      },
    })

    await expect(drawing).rejects.toThrow('cancelled')
    expect(steps).toBeGreaterThanOrEqual(2)
    expect(steps).toBeLessThan(20)
  })

  it('does not start when it is already cancelled', async () => {
    const drawing = distilled.draw(input, {
      seed: 1,
      signal: AbortSignal.abort(new Error('too late')),
      onProgress: () => expect.unreachable(),
    })

    await expect(drawing).rejects.toThrow('too late')
  })

  it.each([
    ['seed', { seed: -1 }],
    ['seed', { seed: 2 ** 32 }],
    ['seed', { seed: 0.5 }],
    ['steps', { seed: 0, steps: 0 }],
    ['steps', { seed: 0, steps: 1001 }],
    ['guidance', { seed: 0, guidance: Number.NaN }],
  ])('refuses a wrong %s', async (field, options) => {
    await expect(distilled.draw(input, options)).rejects.toMatchObject({ code: 'field-invalid', detail: { field } })
  })
})

describe('Synthesizer.open', () => {
  it('refuses a bundle without synthesis', async () => {
    const { synthesis: _, ...manifest } = bundle.manifest

    await expect(Synthesizer.open({ ...bundle, manifest })).rejects.toMatchObject({ code: 'synthesis-unavailable' })
  })

  it('refuses an unknown sampler', async () => {
    await expect(Synthesizer.open(bundle, { sampler: 'best' })).rejects.toMatchObject({ code: 'field-invalid' })
  })

  it('does not fall back to the CPU when CUDA is requested but missing', async () => {
    await expect(Synthesizer.open(bundle, { provider: 'cuda' })).rejects.toMatchObject({ code: 'provider-inactive' })
  })
})

describe('interpolateCycle', () => {
  it('keeps the drawn frames', () => {
    const frames = Float32Array.of(-1, 0, 1, 0.2)

    expect(Array.from(interpolateCycle(frames, 4, 8)).filter((_, i) => i % 2 === 0)).toEqual([0, 128, 255, 153])
  })

  it('has no seam: frames rotated in the cycle give the same cine, rotated', () => {
    const frames = Float32Array.from({ length: 16 }, (_, i) => 0.8 * Math.sin(i) * Math.cos(i * i))
    const shifted = Float32Array.of(...frames.subarray(4), ...frames.subarray(0, 4))

    const cine = Array.from(interpolateCycle(frames, 16, 48))

    expect(Array.from(interpolateCycle(shifted, 16, 48))).toEqual([...cine.slice(12), ...cine.slice(0, 12)])
  })

  it('stays within 1% of a smooth motion', () => {
    const wave = (phase: number) => 0.9 * Math.sin(2 * Math.PI * phase)
    const cine = interpolateCycle(
      Float32Array.from({ length: 16 }, (_, i) => wave(i / 16)),
      16,
      50,
    )

    const worst = Math.max(...Array.from(cine, (grey, k) => Math.abs(grey / 127.5 - 1 - wave(k / 50))))
    expect(worst).toBeLessThan(0.01)
  })
})
