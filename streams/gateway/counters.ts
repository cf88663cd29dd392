/**
 * Counters of the gateway for `/status` and `/metrics`. No label names a device, a person or a file.
 * @module
 */
import type { ErrorCode } from '../../shared/errors.ts'
import type { Difference } from './compare.ts'
import type { Door } from './stored-ecg.ts'

export class Counters {
  readonly received = new Map<Door, number>()
  /** Refusals by door and reason. */
  readonly refused = new Map<string, number>()
  readonly hl7Answers = new Map<string, number>()
  readonly delivered = new Map<string, number>()
  readonly differences = new Map<Difference, number>()
  screened = 0
  unscreenable = 0
  pdfs = 0
  refusedPeers = 0
  forwardRefused = 0

  refuse(door: Door | 'peer', code: ErrorCode | 'not-allowed'): void {
    count(this.refused, `${door}/${code}`)
  }
}

export function count<Key>(counts: Map<Key, number>, key: Key, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by)
}
