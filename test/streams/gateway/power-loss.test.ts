import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { framesOf } from '../../../streams/mqtt/device.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { extentOf, WindowAssembler } from '../../../streams/mqtt/window-assembler.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { generator } from './process.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'power-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The files of a database on disk: the database and its write-ahead log. */
interface OnDisk {
  readonly db: Buffer
  readonly wal: Buffer
}

const onDisk = (path: string): OnDisk => ({
  db: readFileSync(path),
  wal: existsSync(`${path}-wal`) ? readFileSync(`${path}-wal`) : Buffer.alloc(0),
})

/**
 * What a power loss may leave between two states of the disk, the first of which was synced: the log cut off at any byte of what was added, or written over
 * in part where it began anew, and behind that whatever was there.
 */
function* cuts(before: OnDisk, after: OnDisk, random: () => number): Generator<OnDisk> {
  const isAppended = after.wal.length > before.wal.length && after.wal.subarray(0, before.wal.length).equals(before.wal)
  if (isAppended) {
    const at = before.wal.length + Math.floor(random() * (after.wal.length - before.wal.length))
    yield { db: before.db, wal: after.wal.subarray(0, at) }
    // A sector that was never written is not there, or is nonsense.
    yield { db: before.db, wal: Buffer.concat([after.wal.subarray(0, at), Buffer.alloc(4096, 0x5a)]) }
    return
  }
  // It began anew: all that it held is in the database file, which was synced before.
  const at = Math.floor(random() * Math.min(after.wal.length, before.wal.length))
  yield { db: after.db, wal: Buffer.concat([after.wal.subarray(0, at), before.wal.subarray(at)]) }
}

const lay = (path: string, { db, wal }: OnDisk) => {
  writeFileSync(path, db)
  writeFileSync(`${path}-wal`, wal)
}

describe('a power loss during a write', () => {
  it('loses no acknowledged ECG', { timeout: 60_000 }, () => {
    const random = generator(3)
    const path = join(folder, 'ecgs.db')
    const store = new Store(path, { limitBytes: 1e9, forwards: true })
    const ids: string[] = []
    let tried = 0

    for (let i = 0; i < 40; i++) {
      const before = onDisk(path)
      const ecgId = fileEcgId({ tenant: 't', sha256: String(i).padStart(64, '0') })
      const packed = Buffer.alloc(20_000 + Math.floor(random() * 60_000), i)
      store.transaction(() =>
        store.addEcg(
          {
            door: 'hl7',
            envelope: {
              schema: 1,
              tenant: 't',
              ecgId,
              origin: { kind: 'upload' },
              span: { startedAt: null, firstSample: 0, durationMs: 1 },
            },
            packed,
            about: { order: {}, visit: { patient: '4711', authority: undefined, bed: undefined } },
          },
          i + 1,
        ),
      )
      for (const disk of cuts(before, onDisk(path), random)) {
        const copy = join(folder, `cut-${tried++}.db`)
        lay(copy, disk)
        const found = new Store(copy, { limitBytes: 1e9, forwards: true })
        const held = found.toForward(0, 1000).map(({ id }) => found.readEcg(id)!)
        // All that was acknowledged, whole; the one under way is there whole or not at all.
        expect(held.slice(0, ids.length).map(({ envelope }) => envelope.ecgId)).toEqual(ids)
        expect(held.length - ids.length).toBeLessThanOrEqual(1)
        for (const { packed: bytes } of held.slice(ids.length)) expect(Buffer.from(bytes).equals(packed)).toBe(true)
        found.close()
        rmSync(copy, { force: true })
      }
      ids.push(ecgId)
    }

    expect(tried).toBeGreaterThan(40)
    store.close()
  })

  it('loses no acknowledged frame', { timeout: 60_000 }, () => {
    const random = generator(5)
    const path = join(folder, 'frames.db')
    const journal = new Journal(path)
    const recording = syntheticRecording({ seconds: 20, gainUv: 5 })
    const frames = framesOf(recording, toWire(recording), { session: 's1', sessionStartedAtMs: 0 })
    let acknowledged = 0
    let session: number | undefined

    for (const frame of frames) {
      const before = onDisk(path)
      journal.transaction(() => {
        session ??= journal.addSession(
          { tenant: 't', device: 'd1', session: 's1' },
          WindowAssembler.begin(frame).state,
          0,
        )
        journal.addFrame(session, frame, extentOf(frame))
      })
      for (const disk of cuts(before, onDisk(path), random)) {
        const copy = join(folder, 'cut.db')
        lay(copy, disk)
        const found = new Journal(copy)
        const samples = session === undefined ? 0 : found.coverage(session, 0, 1e9).covered
        expect([acknowledged, acknowledged + frame.samples.length / frame.leads.length]).toContain(samples)
        found.close()
        for (const end of ['', '-wal', '-shm']) rmSync(`${copy}${end}`, { force: true })
      }
      acknowledged += frame.samples.length / frame.leads.length
    }

    journal.close()
  })
})
