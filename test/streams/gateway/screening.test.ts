import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

/** In a process of its own, because the fault aborts the process: starts a thread and stops it at many moments of the time that a start takes. */
const SCRIPT = `
const [module, bundleDirectory] = process.argv.slice(2)
const { ScreeningThread } = await import(module)
const start = () => new ScreeningThread({ bundleDirectory, codeVersion: 'test' }, () => {})
const startedAt = performance.now()
const first = start()
await first.ready
const readyMs = performance.now() - startedAt
await first.stop()
for (let part = 0.2; part < 1; part += 0.05) {
  const thread = start()
  await new Promise((done) => setTimeout(done, part * readyMs))
  await thread.stop()
}
console.log('all stopped')`

describe('ScreeningThread', () => {
  it('stops at any moment of its start without aborting the process', () => {
    const script = join(temporaryFolder(), 'stop.mjs')
    writeFileSync(script, SCRIPT)
    const args = [script, join(ROOT, 'streams/gateway/screening.ts'), join(ROOT, 'models/cardiacnets-compact')]

    const { signal, status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })

    expect({ signal, status, stdout: stdout.trim() }).toEqual({ signal: null, status: 0, stdout: 'all stopped' })
  })
})
