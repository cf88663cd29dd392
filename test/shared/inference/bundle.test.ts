import { readFileSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { type Manifest, readBundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { verifyBundle } from '../../../shared/inference/session.ts'

const PROFILE = 'cardiacnets-v1'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-bundle-'))
  await cp(SHIPPED_BUNDLE, folder, { recursive: true })
})

afterEach(() => rm(folder, { recursive: true }))

/** A manifest as it could be, and as it must not be. */
type Draft = { -readonly [K in keyof Manifest]: Manifest[K] }

async function editManifest(edit: (manifest: Draft) => void): Promise<void> {
  const path = join(folder, 'manifest.json')
  const manifest: Draft = JSON.parse(await readFile(path, 'utf8'))
  edit(manifest)
  await writeFile(path, JSON.stringify(manifest))
}

describe('the shipped bundle', () => {
  it('matches its manifest: bytes, tensors and profile', async () => {
    await expect(verifyBundle(await readBundle(SHIPPED_BUNDLE, PROFILE))).resolves.toBeUndefined()
  })

  it('gives the same numbers for the same window, alone or in parallel', async () => {
    const screener = await Screener.load(await readBundle(SHIPPED_BUNDLE, PROFILE))
    const window = {
      codes: Int16Array.from({ length: 60_000 }, (_, i) => Math.round(4000 * Math.sin(i / 40))),
      amplitude: Float32Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? -0.5 : 1)),
      leadMask: new Uint8Array(12).fill(1),
    }

    const alone = await screener.screen(window)
    const together = await Promise.all([
      screener.screen(window),
      screener.screen(window, { sex: 'female', ageYears: 60 }),
    ])

    expect(together[0]).toEqual(alone)
    expect(together[1]).not.toEqual(alone)
    await screener.release()
  })
})

const shipped: Manifest = JSON.parse(readFileSync(join(SHIPPED_BUNDLE, 'manifest.json'), 'utf8'))

describe('a bundle with a limit for unfamiliar ECGs', () => {
  const flat = {
    codes: new Int16Array(60_000),
    amplitude: new Float32Array(24),
    leadMask: new Uint8Array(12).fill(1),
  }

  it.skipIf(shipped.ood === undefined).each([
    ['any score', -1e6, true],
    ['no score', 1e6, false],
  ])('compares a window with the limit: %s is above it', async (_, threshold, flagged) => {
    await editManifest((manifest) => {
      manifest.ood = { threshold, falseAlarms: 0.01, dataset: 'made up' }
    })
    const screener = await Screener.load(await readBundle(folder, PROFILE))

    const { ood } = await screener.screen(flat)

    expect(ood).toEqual({ score: expect.any(Number), threshold, flagged })
    await screener.release()
  })

  it('loads without the limit, and then reports no unfamiliarity', async () => {
    await editManifest((manifest) => {
      delete manifest.ood
    })
    const screener = await Screener.load(await readBundle(folder, PROFILE))

    const screening = await screener.screen(flat)

    expect(screening).not.toHaveProperty('ood')
    await screener.release()
  })
})

describe('a bundle of a cohort that knows some indices alone', () => {
  it('gives the others no value, whatever its network says of them', async () => {
    await editManifest((manifest) => {
      manifest.indices = manifest.indices.map((index, i) => (i === 1 ? index : { ...index, correlation: null }))
    })
    const screener = await Screener.load(await readBundle(folder, PROFILE))

    const { indices } = await screener.screen({
      codes: Int16Array.from({ length: 60_000 }, (_, i) => Math.round(4000 * Math.sin(i / 40))),
      amplitude: Float32Array.from({ length: 24 }, (_, i) => (i % 2 === 0 ? -0.5 : 1)),
      leadMask: new Uint8Array(12).fill(1),
    })

    expect(indices.map(({ id }) => id)).toEqual(['lvEsv'])
    await screener.release()
  })
})

describe('readBundle', () => {
  it('names the folder that has no bundle', async () => {
    await rm(join(folder, 'manifest.json'))

    await expect(readBundle(folder, PROFILE)).rejects.toMatchObject({ code: 'bundle-missing' })
  })

  it('refuses a bundle for another signal profile', async () => {
    await editManifest((manifest) => {
      manifest.profile = 'cardiacnets-v2'
    })

    await expect(readBundle(folder, PROFILE)).rejects.toMatchObject({
      code: 'bundle-mismatch',
      detail: { field: 'profile' },
    })
  })

  it('refuses conditions in another order', async () => {
    await editManifest((manifest) => {
      manifest.conditions = manifest.conditions.toReversed()
    })

    await expect(readBundle(folder, PROFILE)).rejects.toMatchObject({
      code: 'bundle-mismatch',
      detail: { field: 'conditions.0.id' },
    })
  })

  it('names the invalid field of a manifest', async () => {
    await editManifest((manifest) => {
      Object.assign(manifest.conditions[2]!, { evidence: 'certain' })
    })

    await expect(readBundle(folder, PROFILE)).rejects.toMatchObject({
      code: 'bundle-corrupt',
      detail: { field: 'manifest.json:conditions.2.evidence' },
    })
  })

  it('refuses a manifest that is not JSON', async () => {
    await writeFile(join(folder, 'manifest.json'), '{"schema":')

    await expect(readBundle(folder, PROFILE)).rejects.toMatchObject({ code: 'bundle-corrupt' })
  })
})

describe('Screener.load', () => {
  it('refuses a model with one changed byte', async () => {
    const path = join(folder, 'screen.onnx')
    const bytes = await readFile(path)
    bytes[bytes.length >> 1]! ^= 1
    await writeFile(path, bytes)

    const bundle = await readBundle(folder, PROFILE)

    await expect(Screener.load(bundle)).rejects.toMatchObject({
      code: 'bundle-corrupt',
      detail: { field: 'screen.onnx' },
    })
  })

  it('refuses a model whose tensors differ from its manifest', async () => {
    await editManifest((manifest) => {
      manifest.tensors['screen.onnx']!.inputs[0]!.shape = ['N', 12, 2500]
    })

    const bundle = await readBundle(folder, PROFILE)

    await expect(Screener.load(bundle)).rejects.toMatchObject({
      code: 'bundle-mismatch',
      detail: { field: 'tensors.screen.onnx.inputs' },
    })
  })
})
