/**
 * CSV of the Movesense app: `Timestamp,Value`, the sensor's time in milliseconds. A file is named after the resource that it was recorded
 * from (`MeasECGmV.csv` is `/Meas/ECG/…/mV`), and only this name states the unit. There is no lead name: a chest strap records none of the
 * twelve leads, so the caller must choose one.
 *
 * Samples arrive in packets. The app gives the first sample of a packet the packet's time and each following one a millisecond more,
 * whatever the rate, so the rate is computed from the packets.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'
import { wholeRate } from '../format.ts'
import type { VoltageUnit } from '../units.ts'
import { timingOf } from './time.ts'

export const isMovesense = (header: readonly string[]) => header.join().toLowerCase() === 'timestamp,value'

/** The unit in a file's name. */
export const movesenseUnit = (fileName: string): VoltageUnit | undefined =>
  /ECG_?mV/i.test(fileName) ? 'mV' : undefined

/**
 * Rate from the times of packets.
 * @param times of all samples, ms
 * @throws CodedError `field-invalid` when packets differ in length or one is lost
 */
export function rateOfPackets(times: Float64Array, lineOf: (row: number) => number): number {
  const starts = [...times.keys()].filter((i) => i === 0 || times[i]! - times[i - 1]! !== 1)
  const samples = starts[1]
  // One packet, or none: one sample per millisecond.
  if (samples === undefined)
    return timingOf(
      times.map((time) => time / 1000),
      lineOf,
    ).rateHz
  const uneven = starts.findIndex((start, packet) => start !== packet * samples)
  if (uneven >= 0) throw new CodedError('field-invalid', { field: 'time', line: lineOf(starts[uneven]!) })
  const packetTimes = starts.map((start) => times[start]!)
  const intervals = packetTimes.slice(1).map((time, i) => time - packetTimes[i]!)
  const typical = intervals.toSorted((a, b) => a - b)[intervals.length >> 1]!
  const off = intervals.findIndex((interval) => !(interval > 0 && Math.abs(interval - typical) <= typical / 2))
  if (off >= 0) throw new CodedError('field-invalid', { field: 'time', line: lineOf(starts[off + 1]!) })
  return wholeRate((1000 * samples * intervals.length) / (packetTimes.at(-1)! - packetTimes[0]!))
}
