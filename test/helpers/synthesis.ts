/**
 * Bundles that draw, for tests.
 * @module
 */
import { makeDrawingBundle, TINY_BUNDLE } from '../../cdk/check/drawing-bundle.ts'
import type { SynthesisManifest, View } from '../../shared/inference/synthesis-manifest.ts'
import type { Cine } from '../../shared/inference/synthesizer.ts'
import { filled } from './filled.ts'

export { makeDrawingBundle, TINY_BUNDLE }

/** A manifest's part about drawing. */
export function synthesisManifest(changes: Partial<SynthesisManifest> = {}): SynthesisManifest {
  return {
    evidence: 'virtual',
    encoder: 'encoder.onnx',
    latent: { channels: 4, frames: 16, scale: 1 },
    views: {
      sax: { index: 0, size: 80, latentSize: 10, spacingMm: 1.8 },
      '4ch': { index: 1, size: 96, latentSize: 12, spacingMm: 1.8 },
    },
    schedule: { steps: 1000, kind: 'linear_sd', betaStart: 0.00085, betaEnd: 0.012, zeroTerminalSnr: true },
    samplers: [
      { name: 'full', file: 'denoiser.onnx', prediction: 'v', steps: 50, guidance: 1.75 },
      { name: 'distilled', file: 'denoiser-distilled.onnx', prediction: 'v', steps: 8, guidance: 1 },
    ],
    default: 'distilled',
    framesOut: 50,
    minimumLeads: 8,
    readout: {
      areaUnit: 'cm2',
      features: [
        { view: 'sax', label: 1, statistic: 'max', power: 1.5 },
        { view: '4ch', label: 3, statistic: 'min', power: 1 },
      ],
      indices: [
        { id: 'lvEdv', intercept: 10, weights: [2, -1], correlation: 0.95, drawnCorrelation: { distilled: 0.6 } },
      ],
    },
    ...changes,
  }
}

/** A cine of a ring that beats on a striped ground. */
export function beatingRing(view: View = 'sax', count = 50): Cine {
  const size = view === 'sax' ? 80 : 96
  const frames = filled(new Uint8Array(count * size * size), (i) => {
    const [frame, y, x] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size]
    const radius = Math.hypot(x - size / 2, y - size / 2)
    const inner = 18 + 6 * Math.cos((2 * Math.PI * frame) / count)
    if (radius < inner) return 200
    return radius < inner + 8 ? 60 : 100 + 30 * Math.sin(x / 5)
  })
  const drawn = filled(new Float32Array(frames.length), (i) => frames[i]! / 127.5 - 1)
  return { view, frames, drawn, count, height: size, width: size, spacingMm: 1.8 }
}
