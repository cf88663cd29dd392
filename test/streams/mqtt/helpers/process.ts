/** The adapter as a separate process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const MAIN = new URL('../../../../streams/mqtt/main.ts', import.meta.url).pathname

/** Starts the adapter as a separate process; resolves when it has subscribed. */
export async function startProcess(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  await new Promise<void>((resolve, reject) => {
    lines.on('line', (line) => line.includes('adapter ready') && resolve())
    child.once('exit', () => reject(new Error('the adapter ended')))
  })
  return child
}
