/**
 * A manifest's part about drawing, for tests.
 * @module
 */
import type { SynthesisManifest } from '../../shared/inference/synthesis-manifest.ts'

export function synthesisManifest(changes: Partial<SynthesisManifest> = {}): SynthesisManifest {
  return {
    evidence: 'virtual',
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
      indices: [{ id: 'lvEdv', intercept: 10, weights: [2, -1], correlation: 0.95 }],
    },
    ...changes,
  }
}
