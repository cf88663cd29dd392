import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { Journal } from '../../../streams/mqtt/journal.ts'
import * as queries from '../../../streams/mqtt/journal-queries.ts'
import { SCHEMA_VERSION, UPGRADES } from '../../../streams/mqtt/journal-tables.ts'
import { makeFrame, NOW, sampleAt } from './helpers/factories.ts'

/** Queries that may scan a table: lists of pending rows, and queries that run once. */
const MAY_SCAN = ['PENDING_WINDOWS', 'PENDING_REJECTS', 'OPEN_SESSIONS', 'HOLDINGS', 'LAST_ARRIVAL']

describe('Journal', () => {
  it('upgrades a journal of version 1 without loss', () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'))
    const path = join(folder, 'journal.db')
    const old = new DatabaseSync(path)
    old.exec(`${UPGRADES[0]} PRAGMA user_version = 1;
      INSERT INTO session VALUES (1, 'clinic', 'd1', 's1', ${NOW}, 500, '[{"name":"I","gainUv":2.5}]', 5000, 19, ${NOW});
      INSERT INTO window VALUES (7, 1, 0, 5000)`)
    const insert = old.prepare('INSERT INTO frame VALUES (1, ?, ?, ?, 0, NULL, ?)')
    const frames = Array.from({ length: 22 }, (_, sequence) =>
      makeFrame({ sequence, leads: [{ name: 'I', gainUv: 2.5 }] }),
    )
    for (const { sequence, firstSample, samples } of frames) {
      insert.run(sequence, firstSample, firstSample + 250, new Uint8Array(samples.buffer))
    }
    old.close()

    const journal = new Journal(path)

    const window = journal.readWindow(7)
    expect(journal.pendingWindows()).toEqual([7])
    expect(window).toMatchObject({ version: 1, isShort: false, firstSample: 0 })
    expect(window.waveform.leads[0]!.samples).toEqual(Int32Array.from({ length: 5000 }, (_, at) => sampleAt(0, at)))
    expect(journal.findSession({ tenant: 'clinic', device: 'd1', session: 's1' })?.state.frames).toHaveLength(2)
    expect(journal.holdings()).toEqual([{ tenant: 'clinic', device: 'd1', bytes: 22 * 500 }])
    journal.transaction(() => journal.windowSent(7))
    expect(journal.holdings()).toEqual([{ tenant: 'clinic', device: 'd1', bytes: 2 * 500 }])
    journal.close()
    rmSync(folder, { recursive: true })
  })

  it('refuses a journal of a later version', () => {
    const folder = mkdtempSync(join(tmpdir(), 'journal-'))
    const path = join(folder, 'journal.db')
    const later = new DatabaseSync(path)
    later.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
    later.close()

    expect(() => new Journal(path)).toThrow('data-newer')
    rmSync(folder, { recursive: true })
  })

  it.each(Object.entries(queries))('scans no whole table: %s', (name, text) => {
    const database = new DatabaseSync(':memory:')
    database.exec(UPGRADES.join(''))

    const plan = database.prepare(`EXPLAIN QUERY PLAN ${text}`).all()

    const scans = plan.map(({ detail }) => String(detail)).filter((detail) => /^SCAN (?!CONSTANT)/.test(detail))
    expect(MAY_SCAN.includes(name) ? [] : scans.filter((detail) => !detail.includes('USING INDEX'))).toEqual([])
    database.close()
  })
})
