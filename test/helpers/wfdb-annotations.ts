/**
 * Reads WFDB annotations in MIT format (annot(5), physionet.org/physiotools/wag/annot-5.htm): the truth that LUDB and MIT-BIH come with.
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
  const bytes = readFileSync(path)
  const beats: number[] = []
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
      if (BEATS.has(code)) beats.push(time)
    }
  }
  return beats
}
