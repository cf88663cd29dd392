/**
 * A supervisor ends what it started by its process id: npm's, not ours.
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { Lines } from '../helpers/assembly.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

const PROGRAMS = {
  start: {
    args: () => ['--no-demo', '--port', '0', '--mqtt-port', '0', '--fhir-port', '0', '--data', temporaryFolder()],
    ready: 'Ctrl-C stops it',
  },
  gateway: {
    args: () => {
      const data = temporaryFolder()
      const ports = ['--mqtt-port', '--hl7-port', '--dicom-port', '--status-port'].flatMap((option) => [option, '0'])
      return [...ports, '--data', data, '--watch', join(data, 'inbox'), '--outputs', join(data, 'none.json')]
    },
    ready: 'gateway ready',
  },
} as const

describe('npm scripts ended by process ID', () => {
  it.each([
    ['start', 'SIGTERM'],
    ['gateway', 'SIGTERM'],
    ['gateway', 'SIGKILL'],
  ] as const)(
    'leave nothing running: npm run %s, %s',
    async (script, signal) => {
      const { args, ready } = PROGRAMS[script]
      // One process group contains npm, its shell, the program and its children.
      const npm = spawn('npm', ['run', script, '--', ...args()], {
        cwd: ROOT,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const group = npm.pid!
      onTestFinished(() => void (isRunning(group) && process.kill(-group, 'SIGKILL')))
      const output = new Lines()
      for (const stream of [npm.stdout, npm.stderr])
        createInterface({ input: stream }).on('line', (line) => output.add(line))
      await output.until((lines) => lines.some((line) => line.includes(ready)))

      const gone = once(npm, 'exit')
      process.kill(group, signal)
      await gone

      await expect.poll(() => isRunning(group), { timeout: 40_000, interval: 100 }).toBe(false)
    },
    150_000,
  )
})

/** Whether a process of the group is alive. */
function isRunning(group: number): boolean {
  try {
    process.kill(-group, 0)
    return true
  } catch {
    return false
  }
}
