import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import type { Manifest } from '../../../shared/inference/bundle.ts'
import { DEMO, cli as run } from '../../helpers/cli.ts'
import { csvOf } from '../../helpers/format-samples.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeDrawingBundle } from '../../helpers/synthesis.ts'

const shipped: Manifest = JSON.parse(readFileSync(join(SHIPPED_BUNDLE, 'manifest.json'), 'utf8'))

let folder: string
let model: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cardiacnets-synthesize-'))
  model = await makeDrawingBundle(join(folder, 'bundle'))
})

afterAll(() => rm(folder, { recursive: true }))

const cli = (...args: string[]) => run(folder, 'synthesize', ...args)

/** Another bundle, some of whose manifest is other. */
const bundleWith = (name: string, change: Parameters<typeof makeDrawingBundle>[1]) =>
  makeDrawingBundle(join(folder, name), change)

// Each call is a separate process that loads models, which is slow on a busy machine.
describe('cardiacnets synthesize', { timeout: 180_000 }, () => {
  it('writes the files that its JSON lists, the same bytes for the same seed', async () => {
    const [once, again] = [join(folder, 'once'), join(folder, 'again')]

    const { code, stdout, stderr } = await cli(DEMO, '--model', model, '--out', once, '--seed', '7', '--json')
    await cli(DEMO, '--model', model, '--out', again, '--seed', '7')

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const drawn = JSON.parse(stdout)
    expect(drawn).toMatchObject({
      out: once,
      synthetic: true,
      drawing: { seed: 7, sampler: 'distilled', steps: 8 },
      indices: [{ id: 'lvEdv', unit: 'mL', estimated: { evidence: expect.any(String) } }, {}, {}, {}, {}],
    })
    expect(drawn.files).toHaveLength(5)
    for (const { name, sha256 } of drawn.files) {
      const bytes = await readFile(join(once, name))
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256)
      expect(await readFile(join(again, name))).toEqual(bytes)
    }
  })

  it('describes the drawing in text for a terminal', async () => {
    const { code, stdout } = await cli(DEMO, '--model', model, '--out', 'said', '--sampler', 'full', '--steps', '2')

    expect(code).toBe(0)
    expect(stdout).toContain('SYNTHETIC')
    expect(stdout).toContain('sampler full: 2 steps a view')
    expect(stdout).toContain(join('said', '4ch.webp'))
    expect(stdout).toContain('Not a medical device')
  })

  it('exits with 3 for an ECG that the quality gate refuses', async () => {
    const flat = join(folder, 'flat.csv')
    await writeFile(flat, `I,II\n${'0,0\n'.repeat(5000)}`)

    const { code, stdout } = await cli(flat, '--rate', '500', '--unit', 'mV', '--model', model, '--out', 'x', '--json')

    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'ecg-refused', field: 'quality', message: expect.stringMatching(/^[A-Z].*\.$/) },
    })
  })

  it('exits with 3 when the bundle requires more leads', async () => {
    const limb = join(folder, 'limb.csv')
    await writeFile(limb, csvOf(syntheticRecording({ leads: ['I', 'II'] })))

    const { code, stderr } = await cli(limb, '--model', model, '--out', 'x')

    expect(code).toBe(3)
    expect(stderr).toContain('leads-too-few: field=quality.leads')
  })

  it.skipIf(shipped.ood === undefined)('exits with 3 for an input unlike an ECG', async () => {
    const limited = await bundleWith('limited', ({ ood }) => ({ ood: { ...ood!, threshold: -1e6 } }))

    const { code, stderr } = await cli(DEMO, '--model', limited, '--out', 'x')

    expect(code).toBe(3)
    expect(stderr).toContain('ecg-unfamiliar')
  })

  it.each([
    ['an unknown sampler', ['--sampler', 'best'], 'field-invalid: field=sampler known=full,distilled'],
    ['an invalid seed', ['--seed', '-1'], 'a whole number from 0 to 4294967295'],
    ['a missing bundle', ['--model', 'nowhere'], 'bundle-missing'],
  ])('exits with 2 for %s', async (_, options, message) => {
    const { code, stderr } = await cli(DEMO, '--model', model, '--out', 'x', ...options)

    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })

  it('exits with 2 for a bundle without synthesis', async () => {
    const screening = await bundleWith('screening', () => ({ synthesis: undefined }))

    const { code, stderr } = await cli(DEMO, '--model', screening, '--out', 'x')

    expect(code).toBe(2)
    expect(stderr).toContain('synthesis-unavailable')
  })
})
