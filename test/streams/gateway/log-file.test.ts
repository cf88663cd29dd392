import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogFile } from '../../../streams/gateway/log-file.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const lines = (name: string) => readFileSync(join(folder, name), 'utf8').split('\n').filter(Boolean)

describe('the gateway’s log file', () => {
  it('rotates by size, keeps the newest lines, and continues after a restart', () => {
    const options = { file: join(folder, 'gateway.log'), maxBytes: 40, keep: 2 }

    const first = new LogFile(options)
    for (let i = 0; i < 6; i++) first.write(`line ${i}......\n`)
    const second = new LogFile(options)
    for (let i = 6; i < 10; i++) second.write(`line ${i}......\n`)

    // Three lines of 13 bytes a file.
    expect(readdirSync(folder).toSorted()).toEqual(['gateway.log', 'gateway.log.1', 'gateway.log.2'])
    expect(['gateway.log.2', 'gateway.log.1', 'gateway.log'].flatMap(lines)).toEqual(
      Array.from({ length: 7 }, (_, i) => `line ${i + 3}......`),
    )
    expect(statSync(join(folder, 'gateway.log')).mode & 0o777).toBe(0o600)
  })

  it('does not end the process when it cannot be written', () => {
    const log = new LogFile({ file: join(folder, 'not-there', 'gateway.log'), maxBytes: 100, keep: 1 })

    expect(() => log.write('a line\n')).not.toThrow()
  })

  it('receives the gateway’s log, and standard output stays empty', { timeout: 120_000 }, () => {
    const main = resolve(import.meta.dirname, '../../../streams/gateway/main.ts')
    const config = { data: 'data', status: { port: 0 }, log: { file: 'logs.txt' } }
    writeFileSync(join(folder, 'gateway.json'), JSON.stringify(config))

    // Ends with the signal that is sent once it is ready.
    const { stdout, stderr } = spawnSync(
      'bash',
      [
        '-c',
        `"${process.execPath}" "${main}" "${join(folder, 'gateway.json')}" & until grep -q ready "${join(folder, 'logs.txt')}" 2>/dev/null; do sleep .1; done; kill $!; wait $!`,
      ],
      { encoding: 'utf8' },
    )

    expect(stdout).toBe('')
    expect(stderr).toContain('gateway ready')
    expect(lines('logs.txt').map((line) => JSON.parse(line).message)).toEqual(
      expect.arrayContaining(['door open', 'gateway ready', 'gateway stopped']),
    )
  })
})
