import { spawnSync } from 'node:child_process'
import { utimesSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isAlive, keepAlive } from '../../../streams/mqtt/alive.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const SCRIPT = resolve(import.meta.dirname, '../../../streams/mqtt/alive.ts')
const check = (JOURNAL_PATH: string) =>
  spawnSync(process.execPath, [SCRIPT], { env: { ...process.env, JOURNAL_PATH } }).status

describe('the adapter’s container health check', () => {
  it('passes while the process makes progress', () => {
    const journal = join(temporaryFolder(), 'journal.db')
    onTestFinished(keepAlive(journal))

    expect(isAlive(journal, Date.now())).toBe(true)
    expect(check(journal)).toBe(0)
  })

  it('fails after a minute without progress, or without any', () => {
    const journal = join(temporaryFolder(), 'journal.db')
    expect(check(journal)).toBe(1)
    keepAlive(journal)()
    const before = new Date(Date.now() - 61_000)
    utimesSync(`${journal}.alive`, before, before)

    expect(isAlive(journal, Date.now())).toBe(false)
    expect(check(journal)).toBe(1)
  })
})
