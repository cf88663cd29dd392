/**
 * Measures cold starts of the built functions as a caller sees them: from the start of the process to the first response.
 * @module
 */

import type { FunctionSpec } from '../local/lambda/sandbox.ts'
import { startSandbox } from '../local/lambda/sandbox.ts'

export interface ColdStart {
  /** Until the handler is loaded, ms. */
  readonly initMs: number
  /** Until its first response, ms. */
  readonly firstAnswerMs: number
}

/**
 * Starts one sandbox, invokes it once and stops it.
 * @param event JSON
 * @throws FunctionError when the function cannot load or fails
 * @example
 * const { firstAnswerMs } = await measureColdStart(stack.functions.screen!.spec, JSON.stringify(event))
 */
export async function measureColdStart(spec: FunctionSpec, event: string): Promise<ColdStart> {
  const startedAt = performance.now()
  const sandbox = await startSandbox(spec)
  try {
    await sandbox.invoke(event)
    return { initMs: sandbox.initMs, firstAnswerMs: performance.now() - startedAt }
  } finally {
    await sandbox.stop()
  }
}
