/**
 * One execution environment of a Lambda: a child process that runs the function's bundle, and its Runtime API.
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ACCOUNT, REGION } from '../account.ts'
import { FunctionError, startRuntimeApi } from './runtime-api.ts'

export interface FunctionSpec {
  readonly name: string
  /** Folder of the bundle, which Lambda would get as a zip. */
  readonly folder: string
  /** `file.export`. */
  readonly handler: string
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutMs: number
  /** Passed to the function, not enforced. */
  readonly memoryMb: number
  /** Role whose permissions its calls to AWS need; without one, everything is allowed. */
  readonly role?: string | undefined
}

export interface Sandbox {
  /** From the start of the process to its first request for an event, ms. */
  readonly initMs: number
  /** False when its process has ended or is ending. */
  readonly alive: boolean
  /** Returns the handler's response (JSON). Rejects with a FunctionError; after a timeout or a crash the sandbox is gone. */
  invoke(event: string): Promise<string>
  stop(): Promise<void>
}

/** Lambda's limit for loading a function. */
const INIT_LIMIT_MS = 10_000

export const functionArn = (name: string): string => `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${name}`

/** The name in a function's ARN or name, either of which may end in a version or an alias. */
export const functionNameOf = (reference: string): string =>
  /:function:([^:]+)/.exec(reference)?.[1] ?? reference.split(':')[0]!

/** Starts a process and waits until its handler is loaded. Rejects with a FunctionError when that fails. */
export async function startSandbox(spec: FunctionSpec, onLog: (line: string) => void = () => {}): Promise<Sandbox> {
  const api = await startRuntimeApi()
  const startedAt = performance.now()
  const child = spawn(process.execPath, [join(import.meta.dirname, 'bootstrap.mjs')], {
    cwd: spec.folder,
    env: environmentOf(spec, api.address),
    stdio: ['ignore', 'pipe', 'pipe'],
    // A terminal sends Ctrl-C to the whole process group, but a sandbox must finish its work.
    detached: true,
  })
  forwardLines(child, onLog)
  let alive = true
  const exited = new Promise<void>((resolve) => {
    const end = (reason: string) => {
      alive = false
      api.fail(new FunctionError('Runtime.ExitError', reason))
      resolve()
    }
    child.once('error', (error) => end(error.message))
    child.once('exit', (code, signal) => end(`the process of ${spec.name} ended: ${signal ?? `exit status ${code}`}`))
  })

  async function stop(): Promise<void> {
    alive = false
    child.kill('SIGKILL')
    await exited
    await api.close()
  }

  /** Ends the process when `work` takes longer than `limitMs`. */
  async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      api.fail(new FunctionError('Sandbox.Timedout', `${spec.name} timed out after ${limitMs / 1000} seconds`))
      void stop()
    }, limitMs)
    try {
      return await work
    } finally {
      clearTimeout(timer)
    }
  }

  try {
    await within(INIT_LIMIT_MS, api.initialized)
  } catch (error) {
    await stop()
    throw error
  }
  const initMs = performance.now() - startedAt
  return {
    initMs,
    get alive() {
      return alive
    },
    invoke(event) {
      const deadlineMs = Date.now() + spec.timeoutMs
      const invocation = { requestId: randomUUID(), event, functionArn: functionArn(spec.name), deadlineMs }
      return within(spec.timeoutMs, api.invoke(invocation))
    },
    stop,
  }
}

/** Lambda's variables, and of ours only the path: a function must not depend on this machine. */
function environmentOf(spec: FunctionSpec, runtimeApi: string): NodeJS.ProcessEnv {
  const system = ['PATH', 'SystemRoot', 'TMPDIR', 'TEMP'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return {
    ...Object.fromEntries(system),
    TZ: ':UTC',
    LANG: 'en_US.UTF-8',
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: spec.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(spec.memoryMb),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${spec.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: 'local',
    ...spec.environment,
    AWS_LAMBDA_RUNTIME_API: runtimeApi,
    LAMBDA_TASK_ROOT: spec.folder,
    _HANDLER: spec.handler,
  }
}

/** Forwards the standard output and standard error of a process, line by line. */
export function forwardLines(child: ChildProcess, onLine: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on('line', onLine)
  }
}
