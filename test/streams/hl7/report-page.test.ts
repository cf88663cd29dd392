import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { inflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Recording } from '../../../shared/domain/recording.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { boldWidth } from '../../../streams/hl7/pdf.ts'
import { drawReport } from '../../../streams/hl7/report-page.ts'
import { cutOff } from '../../../streams/hl7/report-rows.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { makeResult } from '../../helpers/results.ts'

const SAMPLES = resolve(import.meta.dirname, '../../fixtures/samples')
const NAMES = readdirSync(SAMPLES)
  .filter((file) => file.endsWith('.hea'))
  .map((file) => file.slice(0, -4))

/** Where the grid is, mm from the lower left corner of an A4 page. */
const GRID = { left: 20, right: 270, bottom: 70, top: 190 }
const MM = 72 / 25.4
/** Strips are drawn column by column, then the rhythm strip. */
const LEADS = ['I', 'II', 'III', 'aVR', 'aVL', 'aVF', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6', 'II'] as const

type Point = readonly [x: number, y: number]
interface Box {
  readonly text: string
  readonly left: number
  readonly right: number
  readonly bottom: number
  readonly top: number
}

interface PageOf {
  /** Each strip as its strokes, mm. */
  readonly strips: readonly (readonly (readonly Point[])[])[]
  readonly pulses: readonly (readonly Point[])[]
  /** Bold texts of the size of a lead's name. */
  readonly names: readonly Box[]
  /** Line below the paper about leads that are cut off. */
  readonly cut: string | undefined
}

const sample = (name: string) => readRecording(resolve(SAMPLES, `${name}.hea`))

function pageOf(waveform: Recording): PageOf {
  const pdf = drawReport({ result: makeResult(), waveform, order: {}, allowsVirtual: true })
  const from = pdf.indexOf('stream\n') + 7
  const content = inflateSync(pdf.subarray(from, pdf.indexOf('\nendstream'))).toString('latin1')
  const traces = [...content.matchAll(/^1 j .* RG (.*) S$/gm)].map(([, path]) => strokesOf(path!))
  const names = [...content.matchAll(/^BT .* \/F2 8 Tf (\S+) (\S+) Td \((.*)\) Tj ET$/gm)].map(([, x, y, text]) => {
    const [left, bottom] = [Number(x) / MM, Number(y) / MM]
    return { text: text!, left, bottom, right: left + boldWidth(8, text!), top: bottom + 0.72 * (8 / MM) }
  })
  const isPulse = (trace: readonly (readonly Point[])[]) => trace.length === 1 && trace[0]!.length === 6
  const cut = /\((Cut off .*)\) Tj/.exec(content)?.[1]
  return { strips: traces.filter((each) => !isPulse(each)), pulses: traces.filter(isPulse).flat(), names, cut }
}

function strokesOf(path: string): readonly (readonly Point[])[] {
  const strokes: Point[][] = []
  for (const [, x, y, verb] of path.matchAll(/(\S+) (\S+) ([ml])/g)) {
    if (verb === 'm') strokes.push([])
    strokes.at(-1)!.push([Number(x) / MM, Number(y) / MM])
  }
  return strokes
}

const points = ({ strips }: PageOf) => strips.flat(2)

function isIn([x, y]: Point, { left, right, bottom, top }: Omit<Box, 'text'>, margin = 0.01): boolean {
  return x >= left - margin && x <= right + margin && y >= bottom - margin && y <= top + margin
}

/** Whether the straight line between two points touches a box. Points of a trace are near each other, so a few between them suffice. */
function touches([x0, y0]: Point, [x1, y1]: Point, box: Box): boolean {
  const steps = 1 + Math.ceil(Math.abs(y1 - y0) / 0.2)
  return Array.from({ length: steps + 1 }, (_, i) => i / steps).some((part) =>
    isIn([x0 + part * (x1 - x0), y0 + part * (y1 - y0)], box),
  )
}

/** Names of leads that a trace goes through. */
function crossed({ strips, names }: PageOf): readonly string[] {
  const lines = strips.flat().flatMap((stroke) => stroke.slice(1).map((point, i) => [stroke[i]!, point] as const))
  return names.filter((box) => lines.some(([from, to]) => touches(from, to, box))).map(({ text }) => text)
}

/** A recording in which a lead is taller. */
function taller(recording: Recording, name: string, factor: number): Recording {
  const leads = recording.leads.map((lead) => (lead.name === name ? { ...lead, gainUv: lead.gainUv * factor } : lead))
  return { ...recording, leads }
}

describe.each(NAMES)('the page of %s', (name) => {
  it('keeps every trace on its paper and off the names, at 25 mm/s and 10 mm/mV', async () => {
    const recording = await sample(name)

    const page = pageOf(recording)

    expect(page.names.map(({ text }) => text).toSorted()).toEqual([...LEADS].toSorted())
    expect(page.cut).toBeUndefined()
    expect(page.strips).toHaveLength(13)
    expect(points(page).filter((point) => !isIn(point, GRID))).toEqual([])
    expect(crossed(page)).toEqual([])
    for (const [i, [stroke]] of page.strips.entries()) {
      const { gainUv, samples } = recording.leads.find((lead) => lead.name === LEADS[i])!
      const first = i === 12 ? 0 : Math.floor(i / 3) * 2.5 * recording.rateHz
      expect(stroke).toHaveLength((i === 12 ? 10 : 2.5) * recording.rateHz)
      for (const [k, [x, y]] of stroke!.entries()) {
        const mv = ((samples[first + k]! - samples[first]!) * gainUv) / 1000
        if (Math.abs(x - (GRID.left + ((first + k) * 25) / recording.rateHz)) > 0.001) expect(x).toBe('at 25 mm/s')
        if (Math.abs(y - stroke![0]![1] - 10 * mv) > 0.001) expect(y).toBe('at 10 mm/mV')
      }
    }
  })

  it('has the line of 0 mV of each row on a line of the grid, with a pulse of 1 mV', async () => {
    const { pulses } = pageOf(await sample(name))

    expect(pulses).toHaveLength(4)
    for (const pulse of pulses) {
      expect(pulse[0]![1] - Math.round(pulse[0]![1])).toBeCloseTo(0, 3)
      expect(pulse[2]![1] - pulse[0]![1]).toBeCloseTo(10, 3)
    }
  })
})

describe('rows', () => {
  const zeros = (page: PageOf) => page.pulses.map((pulse) => Math.round(pulse[0]![1]))

  it('are even where the waves are small', async () => {
    expect(zeros(pageOf(await sample('paced')))).toEqual([175, 145, 115, 85])
  })

  it.each(['left-ventricular-hypertrophy', 'paced', 'normal', 'noisy'])(
    'keep their traces apart where the paper is high enough: %s',
    async (name) => {
      const { strips } = pageOf(await sample(name))
      const rowOf = (i: number) => (i === 12 ? 3 : i % 3)
      const low = new Map<string, number>()
      const high = new Map<string, number>()
      for (const [i, strip] of strips.entries()) {
        for (const [x, y] of strip.flat()) {
          const at = `${rowOf(i)} ${Math.floor(x)}`
          low.set(at, Math.min(low.get(at) ?? y, y))
          high.set(at, Math.max(high.get(at) ?? y, y))
        }
      }

      for (let x = GRID.left; x < GRID.right; x++) {
        for (let row = 1; row < 4; row++) {
          expect(high.get(`${row} ${x}`)!, `row ${row} at ${x} mm`).toBeLessThan(low.get(`${row - 1} ${x}`)!)
        }
      }
    },
  )

  it('make room for one very tall wave without cutting it off', async () => {
    const page = pageOf(taller(await sample('normal'), 'V4', 3))

    expect(points(page).filter((point) => !isIn(point, GRID))).toEqual([])
    expect(page.cut).toBeUndefined()
    expect(crossed(page)).toEqual([])
  })

  it('cut off what no paper can hold, and name the lead below it', async () => {
    const page = pageOf(taller(await sample('normal'), 'V4', 12))

    expect(points(page).filter((point) => !isIn(point, GRID))).toEqual([])
    expect(page.cut).toBe('Cut off at the edge of the paper: V4')
    expect(crossed(page)).toEqual([])
  })

  it('are there for leads that were not recorded', () => {
    const { leads, ...recording } = syntheticRecording({ gainUv: 5 })

    const page = pageOf({ ...recording, leads: leads.filter(({ name }) => name === 'I') })

    expect(page.names).toHaveLength(13)
    expect(page.strips).toHaveLength(2)
  })
})

it('cuts a line where it crosses the edge, and leaves gaps', () => {
  const line = [[0, 0], [1, 4], [2, 8], undefined, [4, -6], [5, 0]] as const

  expect(cutOff(line, -3, 6)).toEqual({
    line: [[0, 0], [1, 4], [1.5, 6], undefined, undefined, [4.5, -3], [5, 0]],
    isCut: true,
  })
  expect(cutOff(line, -9, 9)).toEqual({ line, isCut: false })
})
