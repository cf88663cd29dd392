import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Artifact, Drawer } from '../../../functions/synthesize/draw.ts'
import { type Bundle, readBundle } from '../../../shared/inference/bundle.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeRefusal, makeResult } from '../../helpers/results.ts'
import { TINY_BUNDLE } from '../../helpers/synthesis.ts'

const { clean } = new WindowPreparer(CARDIACNETS_V1).prepare(syntheticRecording())
const drawable = { clean: clean!, result: makeResult(), person: { ageYears: 60 } }

let bundle: Bundle
let drawer: Drawer

beforeAll(async () => {
  bundle = await readBundle(TINY_BUNDLE, 'cardiacnets-v1')
  drawer = await Drawer.open(bundle, 'test', { threads: 1 })
})

afterAll(() => drawer.release())

const parsed = (files: readonly Artifact[], name: string) =>
  JSON.parse(Buffer.from(files.find((file) => file.name === name)!.bytes).toString())

describe('Drawer.draw', () => {
  it('returns two DICOM objects, two previews, the indices and last the manifest', async () => {
    const files = await drawer.draw(drawable, { seed: 5 })

    expect(files.map(({ name, contentType }) => `${name} ${contentType}`)).toEqual([
      'sax.dcm application/dicom',
      '4ch.dcm application/dicom',
      'sax.webp image/webp',
      '4ch.webp image/webp',
      'indices.json application/json',
      'manifest.json application/json',
    ])
    const manifest = parsed(files, 'manifest.json')
    expect(manifest).toMatchObject({
      drawing: { ecgId: drawable.result.ecgId, seed: 5, sampler: 'distilled', steps: 8, guidance: 1 },
      model: 'cardiacnets-tiny@0.0.0',
      evidence: 'virtual',
      synthetic: true,
      notice: expect.stringContaining('Not a medical device'),
      views: [
        { view: 'sax', frames: 50 },
        { view: '4ch', frames: 50 },
      ],
    })
    expect(manifest.files).toEqual(
      files.slice(0, -1).map(({ name, contentType, bytes }) => ({
        name,
        contentType,
        bytes: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      })),
    )
    expect(parsed(files, 'indices.json').indices.map(({ id }: { id: string }) => id)).toEqual([
      'lvEdv',
      'lvEsv',
      'lvEf',
      'lvMass',
      'rvEdv',
    ])
  })

  it('returns the same bytes for the same request', async () => {
    const [first, second] = [await drawer.draw(drawable, { seed: 5 }), await drawer.draw(drawable, { seed: 5 })]

    expect(second).toEqual(first)
  })

  it('uses the heart rate of the ECG, and 60 when it is unknown', async () => {
    const { quality } = drawable.result
    const result = makeResult({ quality: { ...quality, heartRateBpm: null } })

    const files = await drawer.draw({ ...drawable, result }, { seed: 5 })

    const frameTime = Buffer.from(files[0]!.bytes).toString('latin1').split('DS\x02\x00')[1]?.slice(0, 2)
    expect(frameTime).toBe('20')
  })

  it('refuses a refused ECG', async () => {
    await expect(drawer.draw({ ...drawable, result: makeRefusal() }, { seed: 5 })).rejects.toMatchObject({
      code: 'ecg-refused',
    })
  })

  it('stops when it is cancelled', async () => {
    const signal = AbortSignal.abort(new Error('cancelled'))

    await expect(drawer.draw(drawable, { seed: 5, signal })).rejects.toThrow('cancelled')
  })
})
