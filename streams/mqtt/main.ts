#!/usr/bin/env node
/**
 * Runs the adapter in its own process: `npm run -s node -- streams/mqtt/main.ts --help`.
 * @module
 */
import { s3, sqs } from '../../shared/aws/clients.ts'
import { emptiedFile, isEmptied } from '../../shared/data-files.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { createLogger, describeError, logUncaught } from '../../shared/observe/logging.ts'
import { startAdapter } from './adapter.ts'
import { keepAlive } from './alive.ts'
import { ConfigError, configHelp, readConfig } from './config.ts'

const logger = createLogger('streams-mqtt')
logUncaught(logger)

try {
  const config = readConfig(process.argv.slice(2), process.env)
  if (config === undefined) console.log(configHelp())
  else await run(config)
} catch (error) {
  if (error instanceof ConfigError) {
    console.error(`${error.message}\n(--help says more)`)
    process.exitCode = 2
  } else {
    logger.critical('adapter failed', describeError(error))
    sayFault(error)
    process.exitCode = error instanceof CodedError ? error.kind.exitCode : 1
  }
}

/** Prints the sentence with the path, which the log does not allow, for a person who started the adapter by hand. */
function sayFault(error: unknown): void {
  if (error instanceof CodedError) console.error(`${sentenceOf(error)} [${error.code}]`)
}

async function run(config: NonNullable<ReturnType<typeof readConfig>>): Promise<void> {
  // The journal contains ECGs, so its files are readable by this user only.
  process.umask(0o077)
  if (isEmptied(config.journalPath)) console.error(emptiedFile(config.journalPath))
  const adapter = startAdapter(config, { sqs: sqs(), s3: s3(), logger })
  const rest = keepAlive(config.journalPath)
  const stopped = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve())
  })
  adapter.ready.then(
    () => logger.info('adapter ready'),
    (error) => logger.error('subscription refused', describeError(error)),
  )
  const failure = await Promise.race([stopped, adapter.failed.then((error) => ({ error }))])
  if (failure !== undefined) {
    // Memory is ahead of the journal: only a restart from the journal is safe.
    logger.critical('journal cannot be written', describeError(failure.error))
    sayFault(failure.error)
    process.exit(1)
  }
  await adapter.stop()
  rest()
  logger.info('adapter stopped')
}
