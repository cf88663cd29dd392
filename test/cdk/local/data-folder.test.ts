import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { claimFolder, DataFolderError, openLog } from '../../../cdk/local/data-folder.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

describe('claimFolder', () => {
  it('holds the folder until it is released', () => {
    const folder = join(temporaryFolder(), 'new', 'data')

    const release = claimFolder(folder)
    const second = () => claimFolder(folder)

    expect(second).toThrow(
      new DataFolderError(`${folder} is in use by another stack: stop that one, or pass --data with another folder.`),
    )
    release()
    expect(() => claimFolder(folder)()).not.toThrow()
  })

  it('releases the folder when the process is killed', async () => {
    const folder = temporaryFolder()
    const script = `const { claimFolder } = await import(process.argv[1]); claimFolder(process.argv[2]); globalThis.gc(); await new Promise((done) => setImmediate(done)); globalThis.gc(); console.log('held'); setInterval(() => {}, 1000)`
    const module = join(import.meta.dirname, '../../../cdk/local/data-folder.ts')
    const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '--eval', script, module, folder])
    await once(child.stdout, 'data')

    expect(() => claimFolder(folder)).toThrow('in use')
    child.kill('SIGKILL')
    await once(child, 'exit')
    claimFolder(folder)()
  })

  it.each([
    ['a file', 'is not a folder'],
    ['a foreign lock', 'is not ours'],
  ])('reports what is wrong: %s', (what, sentence) => {
    const folder = temporaryFolder()
    const data = what === 'a file' ? join(folder, 'file') : folder
    writeFileSync(what === 'a file' ? data : join(data, 'lock.db'), 'x'.repeat(5000))

    expect(() => claimFolder(data)).toThrow(sentence)
  })
})

describe('openLog', () => {
  it('appends to the log of earlier runs, and rotates it', () => {
    const path = join(temporaryFolder(), 'stack.log')
    writeFileSync(path, 'of a crash\n')

    const log = openLog(path, () => {}, 100)
    log.write(`${'x'.repeat(99)}\n`)
    const before = existsSync(`${path}.1`)
    log.write('next\n')
    log.end()

    expect(before).toBe(false)
    expect(readFileSync(path, 'utf8')).toBe('next\n')
    expect(readFileSync(`${path}.1`, 'utf8')).toContain('of a crash\n')
  })

  it.runIf(existsSync('/dev/full'))('reports a full disk and keeps running', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()

    const log = openLog('/dev/full', resolve)
    log.write('line\n')

    expect(await promise).toBe('/dev/full cannot be written: the disk is full. The stack goes on without this log.')
    expect(() => log.write('another\n')).not.toThrow()
  })
})
