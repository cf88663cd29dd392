/**
 * Makes the files of a drawing from a screened ECG. Shared by the job and the command line.
 * @module
 */
import { createHash } from 'node:crypto'
import { type Evidence, NOTICE, type Result } from '../../shared/domain/result.ts'
import type { Bundle } from '../../shared/inference/bundle.ts'
import { Segmenter } from '../../shared/inference/segmenter.ts'
import { VIEWS, type View } from '../../shared/inference/synthesis-manifest.ts'
import { checkDrawable } from '../../shared/inference/synthesis-refusal.ts'
import {
  type Cine,
  type Cines,
  type DrawOptions,
  type ScreenInput,
  Synthesizer,
  type SynthesizerOptions,
} from '../../shared/inference/synthesizer.ts'
import { dicomFile } from './artifacts/dicom.ts'
import { type Drawing, instanceUid, seriesUid, studyUid } from './artifacts/drawing.ts'
import { type Areas, type DrawnIndex, readIndices } from './artifacts/indices.ts'
import { previewWebp } from './artifacts/preview.ts'

/** Pace of a cine when the heart rate is unknown. */
const DEFAULT_HEART_RATE_BPM = 60

/** A file of a drawing. */
export interface Artifact {
  readonly name: string
  readonly contentType: string
  readonly bytes: Uint8Array
}

/** Fields of both documents of a drawing. */
interface Said {
  readonly drawing: Drawing
  /** `name@version` */
  readonly model: string
  readonly codeVersion: string
  readonly evidence: Evidence
  readonly synthetic: true
  readonly notice: string
}

/** `indices.json` */
export interface IndicesDocument extends Said {
  readonly indices: readonly DrawnIndex[]
}

/** `manifest.json` */
export interface ManifestDocument extends Said {
  readonly studyUid: string
  readonly views: readonly {
    readonly view: View
    readonly seriesUid: string
    readonly instanceUid: string
    readonly frames: number
  }[]
  /** All files except this one. */
  readonly files: readonly {
    readonly name: string
    readonly contentType: string
    readonly bytes: number
    readonly sha256: string
  }[]
}

/** A window as it was screened, and its result. */
export interface Drawable extends ScreenInput {
  readonly result: Result
}

/** Owns the models that draw and the models that measure the drawing. */
export class Drawer {
  readonly #synthesizer: Synthesizer
  readonly #segmenters: Readonly<Record<View, Segmenter>>
  readonly #codeVersion: string

  private constructor(synthesizer: Synthesizer, segmenters: Record<View, Segmenter>, codeVersion: string) {
    this.#synthesizer = synthesizer
    this.#segmenters = segmenters
    this.#codeVersion = codeVersion
  }

  /**
   * Loads the models.
   * @throws CodedError those of `Synthesizer.open`
   */
  static async open(bundle: Bundle, codeVersion: string, options: SynthesizerOptions = {}): Promise<Drawer> {
    const synthesizer = await Synthesizer.open(bundle, options)
    const sax = await Segmenter.open(bundle, 'sax', options)
    const fourChamber = await Segmenter.open(bundle, '4ch', options)
    return new Drawer(synthesizer, { sax, '4ch': fourChamber }, codeVersion)
  }

  /**
   * Draws both views, measures them and makes the files, in the order in which they must be stored: when the last one (`manifest.json`)
   * exists, all do. The same drawable, options, bundle and code give the same bytes.
   * @throws CodedError those of `checkDrawable` and of `Synthesizer.draw`
   */
  async draw({ result, ...input }: Drawable, options: DrawOptions): Promise<readonly Artifact[]> {
    const { bundle, sampler } = this.#synthesizer
    checkDrawable(result, bundle.manifest.synthesis)
    const drawing: Drawing = {
      ecgId: result.ecgId,
      version: result.version,
      seed: options.seed,
      sampler: sampler.name,
      steps: options.steps ?? sampler.steps,
      guidance: options.guidance ?? sampler.guidance,
      modelSha256: bundle.sha256,
    }
    const cines = await this.#synthesizer.draw(input, options)
    const { name, version, synthesis } = bundle.manifest
    const model = `${name}@${version}`
    const codeVersion = this.#codeVersion
    const cycleMs = 60_000 / (result.quality.heartRateBpm ?? DEFAULT_HEART_RATE_BPM)
    const { evidence, readout } = synthesis!
    const said: Said = { drawing, model, codeVersion, evidence, synthetic: true, notice: NOTICE }
    const indices = readIndices(readout, await this.#measure(cines), sampler.name, result.indices)
    const files: Artifact[] = []
    for (const view of VIEWS) {
      const bytes = dicomFile(cines[view], { drawing, model, codeVersion, cycleMs })
      files.push({ name: `${view}.dcm`, contentType: 'application/dicom', bytes })
    }
    for (const view of VIEWS) {
      files.push({ name: `${view}.webp`, contentType: 'image/webp', bytes: await previewWebp(cines[view], cycleMs) })
    }
    files.push(json<IndicesDocument>('indices.json', { ...said, indices }))
    const views = VIEWS.map((view) => ({
      view,
      seriesUid: seriesUid(drawing, view),
      instanceUid: instanceUid(drawing, view),
      frames: cines[view].count,
    }))
    const manifest = { ...said, studyUid: studyUid(drawing), views, files: files.map(listed) }
    return [...files, json<ManifestDocument>('manifest.json', manifest)]
  }

  /** Frees the native sessions. */
  async release(): Promise<void> {
    await this.#synthesizer.release()
    for (const view of VIEWS) await this.#segmenters[view].release()
  }

  async #measure(cines: Cines): Promise<Areas> {
    const areas = async ({ view, drawn, height, width, spacingMm }: Cine) => {
      const counts = await this.#segmenters[view].pixelCounts(drawn, height, width)
      return counts.map((frame) => frame.map((pixels) => pixels * (spacingMm / 10) ** 2))
    }
    return { sax: await areas(cines.sax), '4ch': await areas(cines['4ch']) }
  }
}

const json = <T>(name: string, value: T): Artifact => ({
  name,
  contentType: 'application/json',
  bytes: Buffer.from(`${JSON.stringify(value, null, 2)}\n`),
})

const listed = ({ name, contentType, bytes }: Artifact) => ({
  name,
  contentType,
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
})
