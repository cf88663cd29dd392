import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import {
  attribute,
  type Cell,
  type ConditionAttribution,
  logOddsWithout,
  STRETCHES,
} from '../../../shared/inference/attribution.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { chooseWindow } from '../../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import type { CleanWindow } from '../../../shared/waveform/clean-codec.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { generator, randomBundle } from '../../helpers/random-bundle.ts'

const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
/** Of the twelve leads' 240 stretches. */
const TENTH = 24

let folder: string
let trained: Screener
let untrained: Screener
let window: CleanWindow
let map: readonly ConditionAttribution[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attribution-'))
  const load = async (from: string) => Screener.load(await readBundle(from, CARDIACNETS_V1.name))
  trained = await load(SHIPPED_BUNDLE)
  untrained = await load(randomBundle(join(folder, 'random')))
  // A sinus rhythm with an old infarct (test/fixtures/samples/README.md).
  const recording = await readRecording(join(SAMPLES, 'old-infarct.hea'))
  window = chooseWindow(new WindowPreparer(CARDIACNETS_V1), recording, undefined).prepared.clean!
  map = await attribute(trained, window)
}, 60_000)
afterAll(async () => {
  await Promise.all([trained.release(), untrained.release()])
  rmSync(folder, { recursive: true })
})

/** A map as one list, with the stretch of each number. */
function flat({ leads }: ConditionAttribution): readonly (Cell & { change: number })[] {
  return leads.flatMap(({ lead, changes }) =>
    changes.map((change, stretch) => ({ lead: LEADS.indexOf(lead), stretch, change })),
  )
}

it('attribution has a number per condition, lead and half second', () => {
  expect(map.map(({ condition }) => condition)).toEqual(['cad', 'cm', 'pericarditis', 'hf', 'ph'])
  for (const each of map) {
    expect(each.leads.map(({ lead }) => lead)).toEqual(LEADS)
    for (const { changes } of each.leads) expect(changes).toHaveLength(STRETCHES)
  }
})

it('masking the tenth with the highest attribution lowers the score more than masking a random tenth', async () => {
  const next = generator(7)
  const all = flat(map[0]!)
  const top = all.toSorted((a, b) => b.change - a.change).slice(0, TENTH)
  const atRandom = Array.from({ length: 15 }, () =>
    all
      .map((cell) => ({ cell, at: next() }))
      .toSorted((a, b) => a.at - b.at)
      .slice(0, TENTH)
      .map(({ cell }) => cell),
  )

  const [whole, withoutTop, ...withoutSome] = (await logOddsWithout(trained, window, {}, [[], top, ...atRandom])).map(
    ([cad]) => cad!,
  )

  const falls = withoutSome.map((score) => whole! - score)
  expect(whole! - withoutTop!).toBeGreaterThan(Math.max(...falls))
  expect(whole! - withoutTop!).toBeGreaterThan(0.5)
}, 60_000)

it('attribution of a network with random weights differs', async () => {
  const other = await attribute(untrained, window)

  expect(Math.abs(correlation(flat(map[0]!), flat(other[0]!)))).toBeLessThan(0.5)
  expect(flat(other[0]!)).not.toEqual(flat(map[0]!))
}, 60_000)

it('attribution leaves out a lead that the network did not see', async () => {
  const leadMask = window.leadMask.slice()
  leadMask[LEADS.indexOf('V3')] = 0

  const [cad] = await attribute(trained, { ...window, leadMask })

  expect(cad!.leads.map(({ lead }) => lead)).toEqual(LEADS.filter((lead) => lead !== 'V3'))
}, 60_000)

function correlation(a: readonly { change: number }[], b: readonly { change: number }[]): number {
  const centred = (of: readonly { change: number }[]) => {
    const mean = of.reduce((sum, { change }) => sum + change, 0) / of.length
    return of.map(({ change }) => change - mean)
  }
  const [x, y] = [centred(a), centred(b)]
  const dot = (p: readonly number[], q: readonly number[]) => p.reduce((sum, value, i) => sum + value * q[i]!, 0)
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y))
}
