/**
 * Loggers for tests, and the guard that every test runs under (`vitest.config.ts`): a log field that the allow-list does not know fails the test.
 * @module
 */
import { afterEach, expect } from 'vitest'
import { createLogger, type DroppedField, LOG_DROPS, type Log } from '../../shared/observe/logging.ts'

const dropped: DroppedField[] = []
LOG_DROPS.subscribe((field) => dropped.push(field as DroppedField)) // as `logging.ts` publishes them

afterEach(() => expect(takeDropped()).toEqual([]))

/** What was dropped since the last look: for tests of the dropping itself. */
export function takeDropped(): DroppedField[] {
  return dropped.splice(0)
}

export function silentLogger(): Log {
  const logger = createLogger('test')
  logger.setLogLevel('SILENT')
  return logger
}
