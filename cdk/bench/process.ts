/**
 * Runs the local stack in its own process, because the command line does not import `cdk`.
 * @module
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../..')

/** Runs one of our scripts to its end and returns its output. */
export async function runScript(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, script), ...args], { cwd: ROOT })
  return stdout
}

/** Options of `npm start` for free ports, because another stack may run on this machine. */
export const FREE_PORTS = ['--port', '0', '--mqtt-port', '0', '--fhir-port', '0'] as const

/** Starts a local stack on free ports with its own data, calls `use` with the broker's address, and stops it. */
export async function withLocalStack<T>(use: (mqttUrl: string) => Promise<T>): Promise<T> {
  const data = await mkdtemp(join(tmpdir(), 'cardiacnets-bench-'))
  const args = [
    join(ROOT, 'cdk/local/main.ts'),
    '--no-demo',
    '--port',
    '0',
    '--mqtt-port',
    '0',
    '--fhir-port',
    '0',
    '--data',
    data,
  ]
  const stack = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(stack, 'exit')
  try {
    return await use(await brokerAddress(stack))
  } finally {
    stack.kill('SIGTERM')
    await exited
    await rm(data, { recursive: true, force: true })
  }
}

async function brokerAddress(stack: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: stack.stdout! })) {
    const url = /mqtt:\/\/\S+/.exec(line)?.[0]
    if (url !== undefined) {
      // Its output is not needed any more, but a full pipe would block the stack.
      stack.stdout!.resume()
      return url
    }
  }
  throw new Error('the local stack ended before it was ready')
}
