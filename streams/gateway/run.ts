/**
 * Runs a gateway until it is told to stop, or must restart from the disk.
 * @module
 */
import { emptiedFile, isEmptied } from '../../shared/data-files.ts'
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError } from '../../shared/errors.ts'
import { whenNpmIsGone } from '../../shared/npm-parent.ts'
import { createLogger, describeError, logUncaught } from '../../shared/observe/logging.ts'
import type { Cloud } from './cloud.ts'
import type { GatewayConfig } from './config.ts'
import { startGateway } from './gateway.ts'
import { logToFile } from './log-file.ts'
import { journalsIn } from './opening.ts'
import type { ScreeningSetup } from './screening.ts'

/** @returns exit code: 0 when it was told to stop, 1 when its supervisor should restart it */
export async function runGateway(
  config: GatewayConfig,
  parts: { readonly cloud?: Cloud | undefined; readonly screening: ScreeningSetup },
): Promise<0 | 1> {
  // The journal contains ECGs, so its files are readable by this user only.
  process.umask(0o077)
  // The reader of the log may disappear; ECGs continue to arrive.
  for (const output of [process.stdout, process.stderr]) output.on('error', () => {})
  const { log } = config
  if (log !== undefined) logToFile({ file: log.file, maxBytes: log.maxMb * 1024 * 1024, keep: log.keep })
  const logger = createLogger('gateway')
  logUncaught(logger)
  for (const file of journalsIn(config.data).filter(isEmptied)) {
    process.stderr.write(`${emptiedFile(file)}\n`)
  }
  const gateway = await startGateway(config, { logger, ...parts })
  const stopped = new Promise<'stopped'>((done) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => done('stopped'))
    whenNpmIsGone(() => done('stopped'))
  })
  await gateway.ready
  logger.info('gateway ready')
  const { ports } = gateway
  process.stderr.write(`gateway ready: ${JSON.stringify(ports)}, status on http://127.0.0.1:${ports.status}\n`)
  const failure = await Promise.race([stopped, gateway.failed.then((error) => ({ error }))])
  if (failure !== 'stopped') {
    // Memory is ahead of the disk: only a restart from the disk is safe.
    logger.critical('gateway failed', describeError(failure.error))
    const { error } = failure
    if (error instanceof CodedError) process.stderr.write(`${sentenceOf(error)} [${error.code}]\n`)
    return 1
  }
  await gateway.stop()
  logger.info('gateway stopped')
  return 0
}
