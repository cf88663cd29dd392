import { describe, expect, it } from 'vitest'
import { rPeaks } from '../../console/src/ecg/beats.ts'
import { drawTrace, Pyramid } from '../../console/src/ecg/decimate.ts'
import { baselineMm, LAYOUTS, labelOf, PULSE_MM, rowsOf, segmentsOf, timeMm } from '../../console/src/ecg/layout.ts'
import { marchOut, reading, snap } from '../../console/src/ecg/measure.ts'
import { viewSize } from '../../console/src/ecg/paper.ts'
import { add, newRecording } from '../../console/src/ecg/recording.ts'
import { partsOf, sheetSize, sheetSvg } from '../../console/src/ecg/svg.ts'
import { Sweep } from '../../console/src/live/sweep.ts'
import { LEADS } from '../../shared/domain/leads.ts'

const EMPTY = { ecgId: '', notice: '', version: 1, rateHz: 500, samples: 5000, firstSample: 0, leads: [] }

/** Points of a drawn line, a list a stroke. */
function strokes(draw: (sink: { moveTo(x: number, y: number): void; lineTo(x: number, y: number): void }) => void) {
  const lines: [number, number][][] = []
  draw({ moveTo: (x, y) => lines.push([[x, y]]), lineTo: (x, y) => lines.at(-1)!.push([x, y]) })
  return lines
}

/** A wave with rare one-sample spikes, which a careless reduction loses. */
function spiky(length: number): Float32Array {
  const samples = Float32Array.from({ length }, (_, i) => 0.4 * Math.sin(i / 37) + (i % 997 === 0 ? 2 : 0))
  for (let i = 5000; i < 5200 && i < length; i++) samples[i] = Number.NaN
  return samples
}

describe.each([0.2, 0.05, 0.01, 0.0004])('a trace at %f pixels per sample', (pxPerSample) => {
  const samples = spiky(60_000)
  const pyramid = new Pyramid(samples)
  pyramid.update(0, samples.length)
  const place = { begin: 0, end: samples.length, x: 10, pxPerSample, y: 200, pxPerMv: 40 }

  it.each(['with a pyramid', 'without'])('keeps every peak within a pixel of the reference (%s)', (kind) => {
    const lines = strokes((sink) => drawTrace(sink, { samples, ...(kind === 'without' ? {} : { pyramid }), ...place }))
    const drawn = new Map<number, { low: number; high: number }>()
    for (const [x, y] of lines.flat()) {
      const column = Math.floor(x)
      const known = drawn.get(column) ?? { low: y, high: y }
      drawn.set(column, { low: Math.min(known.low, y), high: Math.max(known.high, y) })
    }
    for (const [i, value] of samples.entries()) {
      if (Number.isNaN(value)) continue
      const [x, y] = [Math.floor(10 + i * pxPerSample), 200 - value * 40]
      // The reference: this sample must be drawn in its column or an adjacent one.
      const near = [x - 1, x, x + 1].some((column) => {
        const { low = 1, high = 0 } = drawn.get(column) ?? {}
        return y >= low - 1 && y <= high + 1
      })
      if (!near) expect.fail(`sample ${i} of ${value} mV is not drawn`)
    }
  })
})

it('a trace keeps gaps at any zoom', () => {
  const samples = spiky(60_000)
  const at = (pxPerSample: number) =>
    strokes((sink) => drawTrace(sink, { samples, begin: 4000, end: 6000, x: 0, pxPerSample, y: 0, pxPerMv: 1 }))

  for (const pxPerSample of [1, 0.2, 0.05]) {
    const lines = at(pxPerSample)

    expect(lines).toHaveLength(2)
    expect(lines[0]!.at(-1)![0]).toBeLessThanOrEqual(1000 * pxPerSample + 1)
    expect(lines[1]![0]![0]).toBeGreaterThanOrEqual(1200 * pxPerSample - 1)
  }
})

describe('the ECG paper', () => {
  it.each(LAYOUTS)('shows every lead at its row and column in %s', (layout) => {
    const segments = segmentsOf(layout, false)

    expect(new Set(segments.map(({ lead }) => lead))).toEqual(new Set(LEADS))
    for (const { from, to, row } of segments) {
      expect(to - from).toBeCloseTo({ '3x4+1': row === 3 ? 10 : 2.5, '3x4': 2.5, '6x2': 5, '12x1': 10 }[layout])
      expect((baselineMm(layout, row) / 2.5) % 1).toBe(0)
    }
  })

  it('inverts and labels aVR in the Cabrera order', () => {
    const limb = segmentsOf('6x2', true).slice(0, 6)

    expect(limb.map(labelOf)).toEqual(['aVL', 'I', '−aVR', 'II', 'aVF', 'III'])
  })

  it('starts time zero on a grid line', () => {
    expect(timeMm(0, 25) % 5).toBe(0)
    expect(PULSE_MM).toBe(timeMm(0, 50))
  })
})

describe('calipers', () => {
  const caliper = { from: { s: 1, mv: 0.1 }, to: { s: 1.4, mv: 0.6 }, row: 0 }

  it('give milliseconds, millivolts, rate, and QTc by both formulas at the heart’s own rate', () => {
    const { ms, mv, bpm, qtcBazett, qtcFridericia } = reading(caliper, 640)

    expect(ms).toBeCloseTo(400)
    expect(mv).toBeCloseTo(0.5)
    expect(bpm).toBeCloseTo(150)
    expect(qtcBazett).toBeCloseTo(400 / 0.8)
    expect(qtcFridericia).toBeCloseTo(400 / Math.cbrt(0.64))
  })

  it('give no QTc without a rate or for an interval that cannot be a QT', () => {
    expect(reading(caliper, undefined).qtcBazett).toBeUndefined()
    expect(reading({ ...caliper, to: { s: 3, mv: 0 } }, 640).qtcBazett).toBeUndefined()
  })

  it('snap to samples and march out both ways', () => {
    expect(snap(0.4987, 500)).toBe(0.498)
    expect(marchOut(caliper, 0, 2.5).map((s) => Number(s.toFixed(3)))).toEqual([0.2, 0.6, 1, 1.4, 1.8, 2.2])
  })
})

describe('a recording', () => {
  const piece = (names: readonly ('I' | 'II' | 'V1')[], samples: (number | null)[], firstSample = 0) => ({
    ecgId: 'e',
    rateHz: 500,
    samples: 6,
    firstSample,
    notice: '',
    leads: names.map((name) => ({ name, gainUv: 2, samples })),
  })

  it('has millivolts, gaps at missing samples, and derived limb leads', () => {
    const recording = newRecording(piece(['I', 'II', 'V1'], [100, null, 300]))
    add(recording, piece(['I', 'II', 'V1'], [100, null, 300]))
    const samples = (name: 'I' | 'III' | 'aVR') => [...recording.traces.get(name)!.samples.subarray(0, 3)]

    expect(samples('I')).toEqual([Math.fround(0.2), Number.NaN, Math.fround(0.6)])
    expect(samples('III')[0]).toBe(0)
    expect(samples('aVR')[2]).toBeCloseTo(-0.6)
    expect(recording.traces.get('aVF')!.isDerived).toBe(true)
    expect(recording.traces.has('V2')).toBe(false)
  })

  it('derives nothing from a single lead', () => {
    expect([...newRecording(piece(['I'], [1])).traces.keys()]).toEqual(['I'])
  })

  it('becomes an SVG in millimetres at the stated gain, with foreign text escaped', () => {
    const recording = newRecording(piece(['I', 'II', 'V1'], [0]))
    add(recording, piece(['I', 'II', 'V1'], [0, 500, 500, 0, 0, 0]))
    const svg = sheetSvg({
      recording,
      view: { layout: '12x1', isCabrera: false, mmPerS: 25, gain: 20, from: 0, seconds: 10 },
      noteOf: ({ lead }) => (lead === 'V6' ? { text: 'not recorded', isDrawn: false } : undefined),
      heading: ['<script>alert(1)</script>'],
      footing: [],
    })
    const points = /<path d="M10\.000 ([\d.]+)L[\d.]+ ([\d.]+)L/.exec(svg)!.slice(1).map(Number)

    expect(points[0]! - points[1]!).toBeCloseTo(20, 2)
    expect(svg).toMatch(/width="265mm" height="[\d.]+mm" viewBox="0 0 265 /)
    expect(svg).toContain('V6  not recorded')
    expect(svg).not.toContain('<script>')
  })
})

describe('a printed sheet', () => {
  const PAGE = { widthMm: 287, heightMm: 200 }
  const sheets = LAYOUTS.flatMap((layout) => [25, 50].map((mmPerS) => ({ layout, mmPerS })))

  it.each(sheets)('fits onto pages without loss: $layout at $mmPerS mm/s', (of) => {
    const view = { ...of, isCabrera: false, gain: 10, from: 0, seconds: 10 } as const
    const sheet = {
      recording: newRecording(EMPTY),
      view,
      noteOf: () => undefined,
      heading: ['', ''],
      footing: ['', ''],
    }
    const whole = viewSize(view)

    const parts = partsOf(sheet, PAGE)

    const wordsMm = sheetSize(sheet).heightMm - whole.heightMm
    for (const { widthMm, heightMm } of parts) {
      expect(widthMm).toBeLessThanOrEqual(PAGE.widthMm)
      expect(heightMm + wordsMm).toBeLessThanOrEqual(PAGE.heightMm)
    }
    // Across, nothing is lost and nothing comes twice.
    const across = parts.filter(({ y }) => y === 0)
    expect(across.reduce((sum, { widthMm }) => sum + widthMm, 0)).toBeCloseTo(whole.widthMm, 3)
    // Down, each row is on one page, with its name above it.
    const down = parts.filter(({ x }) => x === 0)
    for (let row = 0; row < rowsOf(of.layout); row++) {
      const base = baselineMm(of.layout, row)
      const pages = down.filter(({ y, heightMm }) => base >= y && base <= y + heightMm)
      expect(pages).toHaveLength(1)
      const page = sheetSvg(sheet, pages[0])
      expect(base - 8.2 - 2.4).toBeGreaterThanOrEqual(pages[0]!.y)
      expect(page).toContain(`y="${base - 8.2}"`)
      for (const other of down)
        if (other !== pages[0]) expect(sheetSvg(sheet, other)).not.toContain(`y="${base - 8.2}"`)
    }
    // Where it is cut, a second ends.
    for (const { x } of parts) if (x > 0) expect((x - PULSE_MM) % of.mmPerS).toBeCloseTo(0, 6)
  })
})

it('rPeaks finds the beats of the line beside the cines', () => {
  const rateHz = 500
  const wave = Array.from({ length: 10 * rateHz }, (_, i) => {
    const t = (i % 400) / rateHz
    return Math.round(1000 * Math.exp(-(((t - 0.3) / 0.012) ** 2)) + 200 * Math.exp(-(((t - 0.55) / 0.05) ** 2)))
  })
  const piece = { ...EMPTY, samples: wave.length, leads: [{ name: 'II' as const, gainUv: 1, samples: wave }] }
  const recording = newRecording(piece)
  add(recording, piece)

  const peaks = rPeaks(recording, 1, 9, 800)

  expect(peaks).toHaveLength(10)
  for (const [i, peak] of peaks.entries()) expect(Math.abs(peak - (1.1 + 0.8 * i))).toBeLessThan(0.03)
  expect(rPeaks(newRecording(EMPTY), 0, 10, 800)).toEqual([])
})

describe('Sweep', () => {
  it('leaves no gap in what it has drawn, however its steps fall between pixels', () => {
    const inked = new Set<number>()
    let clip: readonly [number, number] = [0, 0]
    let path: number[] = []
    const whole = (from: number, to: number) =>
      Array.from({ length: Math.max(0, Math.floor(to) - Math.ceil(from)) }, (_, i) => Math.ceil(from) + i)
    const touched = (from: number, to: number) => whole(Math.floor(from), Math.ceil(to))
    const context = {
      clearRect: (x: number, _: number, width: number) => {
        for (const column of touched(x, x + width)) inked.delete(column)
      },
      rect: (x: number, _: number, width: number) => {
        clip = [x, x + width]
      },
      beginPath: () => {
        path = []
      },
      moveTo: (x: number) => path.push(x),
      lineTo: (x: number) => path.push(x),
      stroke: () => {
        const [from, to] = [Math.max(clip[0], Math.min(...path)), Math.min(clip[1], Math.max(...path))]
        for (const column of whole(from, to)) inked.add(column)
      },
      save: () => {},
      clip: () => {},
      restore: () => {},
    }
    const sweep = new Sweep(context as unknown as OffscreenCanvasRenderingContext2D) // what a sweep uses of it
    sweep.place({ x: 7, y: 0, width: 241, height: 80 }, { trace: 'black' })
    sweep.show({ samples: new Float32Array(5000), rateHz: 500 }, 0)

    for (let ms = 0; ms < 8000; ms += 37.3) sweep.advance(ms, false)

    const drawn = Math.floor(7 + 0.79 * 241)
    expect(whole(8, drawn).filter((column) => !inked.has(column))).toEqual([])
  })
})
