/**
 * A process that runs beside the stack (the MQTT adapter, the demo device). It is started from its TypeScript source, restarted when it
 * ends by itself, and stopped with SIGTERM so that it can flush.
 * @module
 */
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { pause } from '../../shared/pause.ts'
import { forwardLines } from './lambda/sandbox.ts'

/** Loaded before the script: when this process is killed, the channel closes and the script is asked to end. */
export const END_WITH_PARENT = `data:text/javascript,${encodeURIComponent(
  "process.once('disconnect', () => process.kill(process.pid, 'SIGTERM')); process.channel.unref()",
)}`

const ROOT = resolve(import.meta.dirname, '../..')

/** Number of its last lines that are kept. */
const LAST_WORDS = 3

/** Time to flush before it is killed. */
const GRACE_MS = 5_000
/** Delay before a restart. It doubles each time the process ends soon, so that a broken one does not fill the log. */
const RESTART_MS = { first: 500, longest: 30_000, healthyAfter: 10_000 } as const

export interface Companion {
  /** Process id of the current process, if one runs. */
  readonly pid: number | undefined
  /** Resolves when it ended for the first time, with its exit status and its last lines for people. */
  readonly ended: Promise<CompanionEnd>
  /** Resolves when the process has ended, by itself within the grace period or killed after it. */
  stop(): Promise<void>
}

export interface CompanionEnd {
  /** Absent when a signal ended it. */
  readonly status: number | undefined
  /** Its last lines that are not logs. */
  readonly words: readonly string[]
}

export interface CompanionOptions {
  /** Relative to the repository's root. */
  readonly script: string
  readonly args?: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly onLine: (line: string) => void
}

export function startCompanion({ script, args = [], env, onLine }: CompanionOptions): Companion {
  const stopping = new AbortController()
  let pid: number | undefined
  let end: () => void = () => {}

  async function runOnce(): Promise<CompanionEnd> {
    const words: string[] = []
    let status: number | undefined
    const child = spawn(process.execPath, ['--import', END_WITH_PARENT, script, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A terminal sends Ctrl-C to the whole process group, but this process must end in its turn.
      detached: true,
    })
    forwardLines(child, (line) => {
      if (!line.startsWith('{')) words.push(line)
      if (words.length > LAST_WORDS) words.shift()
      onLine(line)
    })
    pid = child.pid
    const exited = new Promise<void>((resolve) => {
      // Not at `exit`, because its last lines may still be in transit.
      child.once('close', (code, signal) => {
        status = code ?? undefined
        if (!stopping.signal.aborted) onLine(`${script} ended: ${signal ?? `exit status ${code}`}`)
        resolve()
      })
      child.once('error', (error) => {
        onLine(`${script} could not be started: ${error.message}`)
        resolve()
      })
    })
    end = () => {
      child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS)
      void exited.then(() => clearTimeout(kill))
    }
    if (stopping.signal.aborted) end()
    await exited
    pid = undefined
    return { status, words }
  }

  const ended = Promise.withResolvers<CompanionEnd>()
  async function supervise(): Promise<void> {
    let pauseMs: number = RESTART_MS.first
    while (!stopping.signal.aborted) {
      const startedAt = performance.now()
      ended.resolve(await runOnce())
      if (performance.now() - startedAt > RESTART_MS.healthyAfter) pauseMs = RESTART_MS.first
      await pause(pauseMs, stopping.signal)
      pauseMs = Math.min(2 * pauseMs, RESTART_MS.longest)
    }
  }

  const supervision = supervise()
  return {
    get pid() {
      return pid
    },
    ended: ended.promise,
    stop() {
      stopping.abort()
      end()
      return supervision
    },
  }
}
