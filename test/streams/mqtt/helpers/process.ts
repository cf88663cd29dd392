/** The adapter as a separate process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const MAIN = new URL('../../../../streams/mqtt/main.ts', import.meta.url).pathname

/** Starts the adapter as a separate process; resolves when it has subscribed. */
export async function startProcess(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN], {
    // As in every process of a run, compiled code is kept: a start takes .5 s of CPU instead of 1.3.
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => line.includes('adapter ready') && resolve())
    child.once('exit', () => reject(new Error('the adapter ended')))
  })
  return child
}
