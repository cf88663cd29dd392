/**
 * A Lambda function: as many sandboxes as its concurrency allows, started when needed and reused.
 * @module
 */
import { FunctionError } from './runtime-api.ts'
import { type FunctionSpec, type Sandbox, startSandbox } from './sandbox.ts'

/** Billed time, and cold starts. */
export interface FunctionStatistics {
  invocations: number
  errors: number
  /** Billed duration, whole milliseconds: each invocation rounded up, without init. */
  billedMs: number
  /** One entry per cold start, ms. */
  initMs: number[]
}

export interface LambdaFunction {
  readonly spec: FunctionSpec
  readonly concurrency: number
  readonly statistics: Readonly<FunctionStatistics>
  /** Starts one sandbox before the first event. Rejects with a FunctionError when the function cannot load. */
  warm(): Promise<void>
  /** Returns the handler's response (JSON). Waits for a sandbox when all are busy. Rejects with a FunctionError. */
  invoke(event: string): Promise<string>
  stop(): Promise<void>
}

export function lambdaFunction(spec: FunctionSpec, concurrency: number, log: (line: string) => void): LambdaFunction {
  const statistics: FunctionStatistics = { invocations: 0, errors: 0, billedMs: 0, initMs: [] }
  const idle: Sandbox[] = []
  const busy = new Set<Sandbox>()
  const waiters: (() => void)[] = []
  let taken = 0

  async function start(): Promise<Sandbox> {
    const sandbox = await startSandbox(spec, log)
    statistics.initMs.push(sandbox.initMs)
    log(`cold start in ${Math.round(sandbox.initMs)} ms, ${spec.memoryMb} MB`)
    return sandbox
  }

  /** Takes one of `concurrency` slots; each slot permits one sandbox. */
  async function takePlace(): Promise<void> {
    if (taken < concurrency) taken++
    else await new Promise<void>((resolve) => waiters.push(resolve))
  }

  function leavePlace(): void {
    const next = waiters.shift()
    if (next) next()
    else taken--
  }

  /** An idle sandbox, or a new one. Sandboxes that died while idle are dropped. */
  async function takeSandbox(): Promise<Sandbox> {
    for (let sandbox = idle.pop(); sandbox !== undefined; sandbox = idle.pop()) {
      if (sandbox.alive) return sandbox
      await sandbox.stop()
    }
    return start()
  }

  async function invoke(event: string): Promise<string> {
    await takePlace()
    try {
      statistics.invocations++
      const sandbox = await takeSandbox()
      busy.add(sandbox)
      const startedAt = performance.now()
      try {
        return await sandbox.invoke(event)
      } finally {
        statistics.billedMs += Math.ceil(performance.now() - startedAt)
        busy.delete(sandbox)
        if (sandbox.alive) idle.push(sandbox)
        else await sandbox.stop()
      }
    } catch (error) {
      statistics.errors++
      if (error instanceof FunctionError) log(`invocation failed: ${error.type}`)
      throw error
    } finally {
      leavePlace()
    }
  }

  return {
    spec,
    concurrency,
    statistics,
    async warm() {
      try {
        idle.push(await start())
      } catch (error) {
        throw error instanceof FunctionError ? new FunctionError(error.type, `${spec.name}: ${error.message}`) : error
      }
    },
    invoke,
    async stop() {
      await Promise.all([...idle, ...busy].map((sandbox) => sandbox.stop()))
    },
  }
}
