/**
 * An ECG in memory: each lead in mV, gaps as NaN, with a pyramid of extremes for overviews.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import type { Schemas } from '../../../streams/client/index.ts'
import { Pyramid } from './decimate.ts'

export interface Trace {
  readonly name: LeadName
  /** mV; NaN where a sample is missing or not loaded yet. */
  readonly samples: Float32Array
  readonly pyramid: Pyramid
  /** Derived from two other limb leads. */
  readonly isDerived: boolean
}

export interface Recording {
  readonly rateHz: number
  /** Samples per lead of the whole recording. */
  readonly length: number
  readonly traces: ReadonlyMap<LeadName, Trace>
  /** Leads without any sample so far. Some recorders list leads that were not connected. */
  readonly silent: Set<LeadName>
  /** Number of samples loaded, from the first on. */
  loaded: number
}

type Piece = Schemas['Waveform']

/** Each limb lead as a·I + b·II (Einthoven 1912, Goldberger 1942). */
const OF_I_AND_II: Partial<Record<LeadName, readonly [number, number]>> = {
  III: [-1, 1],
  aVR: [-0.5, -0.5],
  aVL: [1, -0.5],
  aVF: [-0.5, 1],
}

interface Shape {
  readonly rateHz: number
  /** Samples per lead. */
  readonly length: number
  readonly traces: readonly Pick<Trace, 'name' | 'isDerived'>[]
}

/** Allocates a recording without samples. */
export function roomFor({ rateHz, length, traces }: Shape): Recording {
  const rooms = traces.map(({ name, isDerived }): Trace => {
    const samples = new Float32Array(length).fill(Number.NaN)
    return { name, samples, pyramid: new Pyramid(samples), isDerived }
  })
  const byName = new Map(rooms.map((trace) => [trace.name, trace]))
  return { rateHz, length, traces: byName, silent: new Set(byName.keys()), loaded: 0 }
}

/** Stores samples of a lead, mV. */
export function put({ traces }: Recording, name: LeadName, firstSample: number, samples: Float32Array): void {
  const trace = traces.get(name)
  trace?.samples.set(samples, firstSample)
  trace?.pyramid.update(firstSample, firstSample + samples.length)
}

/** Whether the paper calculates a lead that was not delivered. */
export const isCalculated = (lead: LeadName, delivered: ReadonlySet<LeadName>): boolean =>
  !delivered.has(lead) && delivered.has('I') && delivered.has('II') && OF_I_AND_II[lead] !== undefined

/** Allocates a recording from its first piece; `add` fills it. */
export function newRecording({ rateHz, samples, leads }: Piece): Recording {
  const names = new Set(leads.map(({ name }) => name as LeadName))
  const traces = LEADS.flatMap((name) => {
    const isDerived = isCalculated(name, names)
    return names.has(name) || isDerived ? [{ name, isDerived }] : []
  })
  return roomFor({ rateHz, length: samples, traces })
}

/** Stores a piece, and derives the missing limb leads. */
export function add(recording: Recording, { firstSample, leads }: Piece): void {
  let count = 0
  for (const { name, gainUv, samples } of leads) {
    const trace = recording.traces.get(name as LeadName)
    if (trace === undefined) continue
    count = samples.length
    for (let i = 0; i < samples.length; i++) {
      const value = samples[i]
      trace.samples[firstSample + i] = value == null ? Number.NaN : (value * gainUv) / 1000
    }
    if (samples.some((value) => value != null)) recording.silent.delete(trace.name)
    trace.pyramid.update(firstSample, firstSample + samples.length)
  }
  const [one, two] = [recording.traces.get('I')?.samples, recording.traces.get('II')?.samples]
  for (const trace of recording.traces.values()) {
    if (!trace.isDerived || one === undefined || two === undefined) continue
    const [a, b] = OF_I_AND_II[trace.name]!
    for (let i = firstSample; i < firstSample + count; i++) trace.samples[i] = a * one[i]! + b * two[i]!
    trace.pyramid.update(firstSample, firstSample + count)
    if (!recording.silent.has('I') && !recording.silent.has('II')) recording.silent.delete(trace.name)
  }
  recording.loaded = Math.max(recording.loaded, firstSample + count)
}

export const secondsOf = ({ length, rateHz }: Pick<Recording, 'length' | 'rateHz'>) => length / rateHz
