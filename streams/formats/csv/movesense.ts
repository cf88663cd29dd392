/**
 * The CSV that Movesense's app records: `Timestamp,Value`, the time of the sensor in milliseconds. A file is named after the resource that it
 * was read from (`MeasECGmV.csv` is `/Meas/ECG/…/mV`); only that says the unit. No lead is named: a chest strap's is none of the twelve, so
 * which one to take it for is the caller's to say.
 *
 * Samples come in packets. The app stamps the first of a packet with the packet's time and the others a millisecond apart, whatever
 * the rate, so the rate follows from the packets.
 * @module
 */
import { CodedError } from '../../../shared/errors.ts'
import { wholeRate } from '../format.ts'
import type { VoltageUnit } from '../units.ts'
import { timingOf } from './time.ts'

export const isMovesense = (header: readonly string[]) => header.join().toLowerCase() === 'timestamp,value'

/** The unit that a file's name states. */
export const movesenseUnit = (fileName: string): VoltageUnit | undefined =>
  /ECG_?mV/i.test(fileName) ? 'mV' : undefined

/**
 * @param times of all samples, ms
 * @throws CodedError `field-invalid` where packets differ in length or one is lost
 */
export function rateOfPackets(times: Float64Array, lineOf: (row: number) => number): number {
  const starts = [...times.keys()].filter((i) => i === 0 || times[i]! - times[i - 1]! !== 1)
  const samples = starts[1]
  // One packet, or none: a sample a millisecond.
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
