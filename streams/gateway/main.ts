#!/usr/bin/env node
/**
 * The gateway as a service: `node streams/gateway/main.ts FILE`, where FILE is its configuration (docs/gateway.md).
 * @module
 */
import { sentenceOf } from '../../shared/error-sentences.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { activeBundle, activeSite } from '../../shared/inference/active-bundle.ts'
import { createLogger, describeError } from '../../shared/observe/logging.ts'
import { codeVersion } from '../../shared/version.ts'
import { apiCloud, type Cloud } from './cloud.ts'
import { type GatewayConfig, readGatewayConfig } from './config.ts'
import { runGateway } from './run.ts'

const [file] = process.argv.slice(2)

try {
  if (file === undefined) throw new CodedError('file-not-found', { field: 'node streams/gateway/main.ts FILE' })
  const config = readGatewayConfig(file)
  const screening = {
    bundleDirectory: activeBundle(),
    siteFile: activeSite(),
    codeVersion: process.env.CODE_VERSION ?? codeVersion(),
  }
  const code = await runGateway(config, { cloud: await cloudOf(config), screening })
  process.exit(code)
} catch (error) {
  const coded = toCodedError(error)
  // For an unexpected error, its kind helps the person who must fix it.
  if (coded.code === 'internal') createLogger('gateway').critical('gateway did not start', describeError(error))
  process.stderr.write(`${sentenceOf(coded)} [${coded.code}]\n`)
  process.exit(coded.kind.exitCode)
}

async function cloudOf({ forward }: GatewayConfig): Promise<Cloud | undefined> {
  if (forward?.kind === 'api') return apiCloud(forward.url, forward.tokenFile)
  if (forward?.kind !== 'sqs') return undefined
  const { sqsCloudOfEnvironment } = await import('./sqs-cloud.ts')
  return sqsCloudOfEnvironment(forward.queueUrl, forward.bucket, forward.credentials)
}
