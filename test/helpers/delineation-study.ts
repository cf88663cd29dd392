/**
 * Our delineation compared with LUDB's annotators: the figures of docs/delineation.md and of its test. LUDB is for evaluation only: nothing was chosen on it.
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LEADS, type LeadName } from '../../shared/domain/leads.ts'
import { type Delineation, delineate } from '../../shared/signal/delineator.ts'
import { BeatAverager, type MedianBeats } from '../../shared/signal/median-beat.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { RPeakDetector } from '../../shared/signal/r-peaks.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { headersIn } from './data-folder.ts'
import { leadMv, syntheticRecording } from './recordings.ts'
import { type AnnotatedWave, type WaveName, waveAnnotations } from './wfdb-annotations.ts'

export const WAVE_NAMES: readonly WaveName[] = ['p', 'qrs', 't']
export const EDGES = ['onset', 'end'] as const
type Edge = (typeof EDGES)[number]

/** Annotated boundaries found and missed, false ones of ours, and the errors (ms, ours minus theirs) of those found. */
export interface BoundaryCount {
  found: number
  missed: number
  invented: number
  errorsMs: number[]
}

export interface IntervalErrors {
  /** Ours less that of the annotators, ms, one a recording. */
  readonly pr: number[]
  readonly qrs: number[]
  readonly qt: number[]
}

/** QRS of a recording by other definitions: why ours is shorter than the annotators'. One value a recording. */
export interface QrsDefinitions {
  /** Ours less theirs, ms: their median over the beats in each lead comes first, then the second earliest and second latest of the leads. */
  readonly leadMedians: number[]
  /** The same reference; ours from the earliest onset to the latest end of all leads. */
  readonly widest: number[]
  /** How far the lead that has moved most is from its level at the annotators' onset, and at ours, µV. */
  readonly theirOnsetUv: number[]
  readonly ourOnsetUv: number[]
}

export interface DelineationStudy {
  readonly recordings: number
  /** Without three beats that are alike. */
  readonly silent: number
  /** By tolerance in ms, then `p onset`, … */
  readonly boundaries: ReadonlyMap<number, ReadonlyMap<string, BoundaryCount>>
  readonly intervals: IntervalErrors
  readonly qrs: QrsDefinitions
  /** Recordings in which the annotators see no P wave, and in how many of them we do. */
  readonly withoutP: { readonly recordings: number; readonly invented: number }
}

const RATE_HZ = 500
const SAMPLES = 10 * RATE_HZ

export async function studyDelineation(tolerancesMs: readonly number[]): Promise<DelineationStudy> {
  const detector = new RPeakDetector(RATE_HZ)
  const averager = new BeatAverager(RATE_HZ, 10 * RATE_HZ)
  const boundaries = new Map(tolerancesMs.map((tolerance) => [tolerance, new Map<string, BoundaryCount>()]))
  const intervals: IntervalErrors = { pr: [], qrs: [], qt: [] }
  const qrs: QrsDefinitions = { leadMedians: [], widest: [], theirOnsetUv: [], ourOnsetUv: [] }
  const withoutP = { recordings: 0, invented: 0 }
  let recordings = 0
  let silent = 0
  for (const header of headersIn('ludb/data')) {
    const { leads } = await readRecording(header)
    const mv = new Map(leads.map((lead) => [lead.name, leadMv(lead)]))
    const peaks = Array.from(detector.detect([mv.get('II')!, mv.get('V5')!]))
    const beats = averager.average(mv, peaks)
    const delineation = beats && delineate(beats)
    const truth = new Map(
      LEADS.map((name) => [name, waveAnnotations(header.replace('.hea', `.${name.toLowerCase()}`))]),
    )
    recordings++
    if (beats === undefined) silent++
    for (const [name, waves] of truth) countLead(boundaries, waves, name, beats, delineation)
    if (beats !== undefined && delineation !== undefined) {
      addIntervals(intervals, truth, delineation, beats.rateHz)
      addDefinitions(qrs, truth, delineation, beats)
    }
    if (![...truth.values()].flat().some(({ wave }) => wave === 'p')) {
      withoutP.recordings++
      if (delineation?.global.p !== undefined) withoutP.invented++
    }
  }
  return { recordings, silent, boundaries, intervals, qrs, withoutP }
}

function countLead(
  boundaries: ReadonlyMap<number, Map<string, BoundaryCount>>,
  waves: readonly AnnotatedWave[],
  name: LeadName,
  beats: MedianBeats | undefined,
  delineation: Delineation | undefined,
): void {
  const times = waves.flatMap(({ onset, peak, end }) => [onset ?? peak, end ?? peak])
  // Annotators leave out the first and last beats: ours outside their range are neither right nor wrong.
  const [from, to] = [Math.min(...times), Math.max(...times)]
  for (const wave of WAVE_NAMES) {
    const ours = delineation?.leads.get(name)?.[wave]
    for (const edge of EDGES) {
      const theirs = waves.flatMap((annotated) => (annotated.wave === wave ? (annotated[edge] ?? []) : []))
      const places =
        beats === undefined || ours === undefined ? [] : beats.beats.map((beat) => beat - beats.origin + ours[edge])
      for (const [toleranceMs, counts] of boundaries) {
        const tolerance = (toleranceMs * RATE_HZ) / 1000
        const inside = places.filter((place) => place >= from - tolerance && place <= to + tolerance)
        count(counts, `${wave} ${edge}`, theirs, inside, tolerance)
      }
    }
  }
}

function count(
  counts: Map<string, BoundaryCount>,
  key: string,
  theirs: readonly number[],
  ours: readonly number[],
  tolerance: number,
): void {
  const row: BoundaryCount = counts.get(key) ?? { found: 0, missed: 0, invented: 0, errorsMs: [] }
  counts.set(key, row)
  const left = new Set(ours)
  for (const time of theirs) {
    let nearest: number | undefined
    for (const place of left) {
      const isNearer = nearest === undefined || Math.abs(place - time) < Math.abs(nearest - time)
      if (Math.abs(place - time) <= tolerance && isNearer) nearest = place
    }
    if (nearest === undefined) {
      row.missed++
      continue
    }
    left.delete(nearest)
    row.found++
    row.errorsMs.push(((nearest - time) * 1000) / RATE_HZ)
  }
  row.invented += left.size
}

/**
 * Intervals of a beat as the annotators' leads together give them: from the second earliest onset to the second latest end (one lead alone may be
 * a slip), of the T wave to the end of the middle lead. The median over the beats is the recording's.
 */
function addIntervals(
  errors: IntervalErrors,
  truth: ReadonlyMap<LeadName, readonly AnnotatedWave[]>,
  { global }: Delineation,
  rateHz: number,
): void {
  const guide = truth.get('II')!.filter(({ wave }) => wave === 'qrs')
  const found: Record<'pr' | 'qrs' | 'qt', number[]> = { pr: [], qrs: [], qt: [] }
  for (const { peak } of guide) {
    const edges = (wave: WaveName, edge: Edge, from: number, to: number) =>
      [...truth.values()]
        .flatMap(
          (waves) => waves.find((w) => w.wave === wave && w.peak >= peak + from && w.peak <= peak + to)?.[edge] ?? [],
        )
        .sort((a, b) => a - b)
    const near = 0.1 * RATE_HZ
    const qrsOnset = edges('qrs', 'onset', -near, near)[1]
    const qrsEnd = edges('qrs', 'end', -near, near).at(-2)
    const pOnset = edges('p', 'onset', -0.4 * RATE_HZ, -0.03 * RATE_HZ)[1]
    const tEnds = edges('t', 'end', near, 0.6 * RATE_HZ)
    const tEnd = tEnds.length > 2 ? tEnds[tEnds.length >> 1] : undefined
    if (qrsOnset === undefined || qrsEnd === undefined) continue
    found.qrs.push(qrsEnd - qrsOnset)
    if (pOnset !== undefined) found.pr.push(qrsOnset - pOnset)
    if (tEnd !== undefined) found.qt.push(tEnd - qrsOnset)
  }
  const ms = (samples: number) => (1000 * samples) / rateHz
  const add = (of: 'pr' | 'qrs' | 'qt', ours: number | undefined) => {
    if (ours !== undefined && found[of].length > 0) errors[of].push(ms(ours) - ms(median(found[of])))
  }
  const { p, qrs, t } = global
  add('qrs', qrs && qrs.end - qrs.onset)
  add('pr', p && qrs && qrs.onset - p.onset)
  add('qt', t && qrs && t.end - qrs.onset)
}

/** Fewest leads and fewest beats of a lead that are annotated. */
const MIN_LEADS = 6
const MIN_BEATS = 3
/** The level before QRS is the mean over these samples before the earlier of both onsets. */
const LEVEL = { from: 16, to: 8 } as const

function addDefinitions(
  qrs: QrsDefinitions,
  truth: ReadonlyMap<LeadName, readonly AnnotatedWave[]>,
  { leads, global }: Delineation,
  beats: MedianBeats,
): void {
  if (global.qrs === undefined) return
  const theirs = [...truth.values()].flatMap((waves) => leadMedian(waves, beats) ?? [])
  if (theirs.length < MIN_LEADS) return
  const ours = [...leads.values()].flatMap((lead) => lead.qrs ?? [])
  const onset = theirs.map((wave) => wave.onset).sort((a, b) => a - b)[1]!
  const reference = theirs.map((wave) => wave.end).sort((a, b) => b - a)[1]! - onset
  const ms = (samples: number) => (1000 * samples) / beats.rateHz
  qrs.leadMedians.push(ms(global.qrs.end - global.qrs.onset - reference))
  const widest = Math.max(...ours.map(({ end }) => end)) - Math.min(...ours.map((wave) => wave.onset))
  qrs.widest.push(ms(widest - reference))
  const before = Math.round(Math.min(onset, global.qrs.onset))
  const uvAt = (place: number) =>
    Math.max(
      ...[...beats.leads.values()].map((beat) => {
        const level = beat.subarray(Math.max(0, before - LEVEL.from), Math.max(1, before - LEVEL.to))
        return 1000 * Math.abs(beat[Math.round(place)]! - level.reduce((sum, mv) => sum + mv, 0) / level.length)
      }),
    )
  qrs.theirOnsetUv.push(uvAt(onset))
  qrs.ourOnsetUv.push(uvAt(global.qrs.onset))
}

/** Median QRS of a lead over the beats that our median beat consists of, samples from the start of that beat. */
function leadMedian(waves: readonly AnnotatedWave[], beats: MedianBeats): { onset: number; end: number } | undefined {
  const near = 0.1 * beats.rateHz
  const found = beats.beats.flatMap((beat) => {
    const wave = waves.find((each) => each.wave === 'qrs' && Math.abs(each.peak - beat) <= near)
    if (wave?.onset === undefined || wave.end === undefined) return []
    return [{ onset: wave.onset - beat + beats.origin, end: wave.end - beat + beats.origin }]
  })
  if (found.length < MIN_BEATS) return undefined
  return { onset: median(found.map(({ onset }) => onset)), end: median(found.map(({ end }) => end)) }
}

/** Our value minus the exact one, ms, of the virtual ECGs in a folder that `cardiacnets.cli.boundaries` wrote. */
export function virtualErrors(folder: string): Readonly<Record<'qrs' | 'qrsVisible' | 'qt', number[]>> {
  const truths = JSON.parse(readFileSync(join(folder, 'intervals.json'), 'utf8')) as Record<
    'qrs' | 'qrsVisible' | 'qt',
    number
  >[]
  const bytes = readFileSync(join(folder, 'ecgs.i16'))
  const all = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2)
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const errors: Record<'qrs' | 'qrsVisible' | 'qt', number[]> = { qrs: [], qrsVisible: [], qt: [] }
  for (const [i, truth] of truths.entries()) {
    const leads = LEADS.map((name, lead) => {
      const begin = (LEADS.length * i + lead) * SAMPLES
      return { name, gainUv: 1, samples: Int32Array.from(all.subarray(begin, begin + SAMPLES)) }
    })
    const { measurements } = preparer.prepare({ ...syntheticRecording(), rateHz: RATE_HZ, leads })
    const { qrsMs, qtMs } = measurements ?? {}
    if (qrsMs !== undefined) {
      errors.qrs.push(qrsMs - truth.qrs)
      errors.qrsVisible.push(qrsMs - truth.qrsVisible)
    }
    if (qtMs !== undefined) errors.qt.push(qtMs - truth.qt)
  }
  return errors
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted.length === 0 ? Number.NaN : sorted[sorted.length >> 1]!
}
