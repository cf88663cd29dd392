/**
 * Converts rows of the journal's tables.
 * @module
 */
import type { FrameLead } from '../../shared/domain/frame.ts'
import type { Hole } from './past-windows.ts'
import { extentOf, type FrameExtent, type SessionFormat } from './window-assembler.ts'

/** Position of a frame, without its samples. */
export type FramePlace = Omit<FrameExtent, 'checksum'>

export type Row = Record<string, unknown>

export function toPlace(row: Row): FramePlace {
  return {
    sequence: Number(row.sequence),
    firstSample: Number(row.first_sample),
    endSample: Number(row.end_sample),
    isLast: row.is_last === 1,
  }
}

export function toExtent(row: Row, format: SessionFormat): FrameExtent {
  return extentOf({ ...format, ...toPlace(row), session: '', samples: int16(row.samples) })
}

export function toHole(row: Row): Hole {
  return {
    firstSample: Number(row.first_sample),
    endSample: Number(row.end_sample),
    version: Number(row.version),
    isReopened: row.is_reopened === 1,
  }
}

export function sessionFormat(row: Row): SessionFormat {
  return {
    sessionStartedAtMs: Number(row.started_at_ms),
    rateHz: Number(row.rate_hz),
    // Only `addSession` writes this column.
    leads: JSON.parse(String(row.leads)) as readonly FrameLead[],
  }
}

export function bytes(column: unknown): Uint8Array {
  if (column instanceof Uint8Array) return column
  throw new Error('the journal holds no bytes where it should')
}

export function int16(column: unknown): Int16Array {
  // A copy when SQLite's bytes are not aligned.
  const blob = bytes(column)
  const aligned = blob.byteOffset % 2 === 0 ? blob : Uint8Array.from(blob)
  return new Int16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2)
}
