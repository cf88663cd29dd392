/**
 * Prints what becomes of disturbed ECGs, refused and wrongly answered side by side: `npm run -s disturbance-table`. Every other ECG of 500 Hz, all its
 * leads disturbed, through gate, chain and the shipped bundle. Wrongly answered: another set of flags than the same ECG gets undisturbed.
 * @module
 */
import { Command } from 'commander'
import { MISSING_SAMPLE } from '../../../shared/domain/recording.ts'
import type { Waveform } from '../../../shared/domain/waveform.ts'
import { cutWindow } from '../../../shared/domain/window.ts'
import { SHIPPED_BUNDLE } from '../../../shared/inference/active-bundle.ts'
import { readBundle } from '../../../shared/inference/bundle.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { CARDIACNETS_V1 } from '../../../shared/signal/profile.ts'
import { WindowPreparer } from '../../../shared/signal/window-preparer.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { CORRUPTIONS, randomNumbers } from '../../helpers/corruptions.ts'
import { hasData, headersIn, NO_DATA } from '../../helpers/data-folder.ts'
import { leadMv } from '../../helpers/recordings.ts'

const RATE_HZ = 500
const FOLDERS = ['ludb/data', 'ptbxl500', 'cinc2021']
const EVERY = 2
/** Beats a minute. */
const OTHER_RATE = 10

type Disturb = (mv: Float64Array, random: () => number) => Float64Array

const wave =
  (hertz: number, amplitude: number): Disturb =>
  (mv, random) => {
    const phase = 2 * Math.PI * random()
    return mv.map((value, i) => value + amplitude * Math.sin((2 * Math.PI * hertz * i) / RATE_HZ + phase))
  }

/** Part of a kind of damage of the gate's tables. */
const partOf =
  (name: string, share: number): Disturb =>
  (mv, random) => {
    const whole = CORRUPTIONS.find((kind) => kind.name.startsWith(name))!.apply(mv, RATE_HZ, random)
    return mv.map((value, i) => value + share * (whole[i]! - value))
  }

const pops: Disturb = (mv, random) => {
  const out = mv.slice()
  for (let pop = 0; pop < 8; pop++) {
    const at = Math.floor(random() * (mv.length - 20))
    for (let i = 0; i < 20; i++) out[at + i]! += 2
  }
  return out
}

const DISTURBANCES: readonly (readonly [string, Disturb])[] = [
  ['as it is', (mv) => mv],
  ['hum of 60 Hz, .1 mV', wave(60, 0.1)],
  ['hum of 60 Hz, .3 mV', wave(60, 0.3)],
  ['hum of 60 Hz, 1 mV', wave(60, 1)],
  ['hum of 50 Hz, .3 mV', wave(50, 0.3)],
  ['wander of .3 Hz, .5 mV', wave(0.3, 0.5)],
  ['wander of .3 Hz, 1.5 mV', wave(0.3, 1.5)],
  ['wander of .3 Hz, 3 mV', wave(0.3, 3)],
  ['muscle, .05 mV rms', partOf('muscle', 1 / 6)],
  ['muscle, .1 mV rms', partOf('muscle', 1 / 3)],
  ['muscle, .2 mV rms', partOf('muscle', 2 / 3)],
  ['electrode motion, .25 mV rms', partOf('electrode motion', 0.25)],
  ['electrode motion, .5 mV rms', partOf('electrode motion', 0.5)],
  ['three baseline jumps of 1.5 mV', partOf('baseline jumps', 0.5)],
  ['eight pops of 2 mV, 40 ms', pops],
  ['a tenth as large', (mv) => mv.map((value) => value / 10)],
  ['ten times as large', (mv) => mv.map((value) => value * 10)],
]

new Command('npm run disturbance-table --').description('Prints how the service answers to disturbed ECGs.').parse()

if (!hasData) {
  console.error(`nothing to measure${NO_DATA}`)
  process.exit(2)
}
const headers = FOLDERS.flatMap((folder) => headersIn(folder)).filter((_, index) => index % EVERY === 0)
const windows: Waveform[] = []
for (const header of headers) {
  const recording = cutWindow(await readRecording(header), 0)
  if (recording.rateHz === RATE_HZ && recording.leads[0]!.samples.length === 10 * RATE_HZ) windows.push(recording)
}
const preparer = new WindowPreparer(CARDIACNETS_V1)
const screener = await Screener.load(await readBundle(SHIPPED_BUNDLE, CARDIACNETS_V1.name))

interface Answer {
  readonly flags: string
  readonly cad: boolean
  readonly rate: number
  readonly isWithheld: boolean
}

/** What the service answers to each window; nothing where it refuses. */
async function answers(disturb: Disturb): Promise<(Answer | undefined)[]> {
  const found: (Answer | undefined)[] = []
  for (const [index, window] of windows.entries()) {
    const leads = window.leads.map((lead, place) => {
      const mv = disturb(leadMv(lead), randomNumbers(100 * index + place))
      const samples = Int32Array.from(mv, (value) => (Number.isNaN(value) ? MISSING_SAMPLE : Math.round(1000 * value)))
      return { name: lead.name, gainUv: 1, samples }
    })
    const { clean, quality, warnings } = preparer.prepare({ rateHz: RATE_HZ, leads })
    if (clean === undefined) {
      found.push(undefined)
      continue
    }
    const { findings } = await screener.screen(clean)
    found.push({
      flags: findings.map(({ flagged }) => Number(flagged)).join(''),
      cad: findings[0]!.flagged,
      rate: quality.heartRateBpm ?? 0,
      isWithheld: warnings.some(({ withholds }) => withholds),
    })
  }
  return found
}

const percent = (part: number) => `${((100 * part) / windows.length).toFixed(1)}%`
console.log(`${windows.length} ECGs`)
console.log('| all leads disturbed by | refused | withheld | other flags | of them CAD | rate off by over 10/min |')
console.log('| --- | --- | --- | --- | --- | --- |')
const asTheyAre = await answers(DISTURBANCES[0]![1])
for (const [name, disturb] of DISTURBANCES) {
  const found = await answers(disturb)
  const pairs = found.flatMap((answer, i) => {
    const usual = asTheyAre[i]
    return answer === undefined || usual === undefined || answer.isWithheld ? [] : [{ answer, usual }]
  })
  const cells = [
    found.filter((answer) => answer === undefined).length,
    found.filter((answer) => answer?.isWithheld).length,
    pairs.filter(({ answer, usual }) => answer.flags !== usual.flags).length,
    pairs.filter(({ answer, usual }) => answer.cad !== usual.cad).length,
    pairs.filter(({ answer, usual }) => Math.abs(answer.rate - usual.rate) > OTHER_RATE).length,
  ]
  console.log(`| ${name} | ${cells.map(percent).join(' | ')} |`)
}
await screener.release()
