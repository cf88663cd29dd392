/**
 * Reads WFDB annotations in MIT format (annot(5), physionet.org/physiotools/wag/annot-5.htm): the reference annotations of LUDB and MIT-BIH.
 * @module
 */
import { readFileSync } from 'node:fs'

/** Codes of annot(5) that mark a beat. */
const BEATS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 30, 34, 35, 38, 41])

const SKIP = 59
const AUX = 63
const NO_TIME = [60, 61, 62]

/** Sample indices of the beats. */
export function beatAnnotations(path: string): number[] {
  return annotations(path).flatMap(({ code, time }) => (BEATS.has(code) ? [time] : []))
}

const WAVE_BEGINS = 39
const WAVE_ENDS = 40
/** Codes of the peaks: P wave, normal beat, T wave. LUDB knows no other. */
const PEAKS: ReadonlyMap<number, WaveName> = new Map([
  [24, 'p'],
  [1, 'qrs'],
  [27, 't'],
])

export type WaveName = 'p' | 'qrs' | 't'

export interface AnnotatedWave {
  readonly wave: WaveName
  /** Sample indices; absent where the annotators left it open. */
  readonly onset?: number
  readonly peak: number
  readonly end?: number
}

/** The waves of a lead of LUDB, ascending. */
export function waveAnnotations(path: string): AnnotatedWave[] {
  const all = annotations(path)
  return all.flatMap(({ code, time }, i) => {
    const wave = PEAKS.get(code)
    if (wave === undefined) return []
    const [before, after] = [all[i - 1], all[i + 1]]
    return {
      wave,
      peak: time,
      ...(before?.code === WAVE_BEGINS ? { onset: before.time } : {}),
      ...(after?.code === WAVE_ENDS ? { end: after.time } : {}),
    }
  })
}

function annotations(path: string): { code: number; time: number }[] {
  const bytes = readFileSync(path)
  const found: { code: number; time: number }[] = []
  let time = 0
  for (let at = 0; at + 1 < bytes.length; ) {
    const word = bytes.readUInt16LE(at)
    at += 2
    if (word === 0) break
    const code = word >> 10
    const interval = word & 0x3ff
    if (code === SKIP) {
      // A long interval, as two words, the upper one first.
      time += (bytes.readUInt16LE(at) << 16) | bytes.readUInt16LE(at + 2)
      at += 4
    } else if (code === AUX) {
      at += interval + (interval % 2)
    } else if (!NO_TIME.includes(code)) {
      time += interval
      found.push({ code, time })
    }
  }
  return found
}
