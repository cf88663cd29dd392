/**
 * Measures the cold start and size of the functions.
 * @module
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ScreeningMessage } from '../../shared/messages.ts'
import { runScript } from './process.ts'

export interface LambdaFigures {
  /** Time from the start of the process to the first response of `screen`, median, ms. */
  readonly coldStartMs: number
  readonly initMs: number
  /** Memory in the template, MB. */
  readonly memoryMb: { readonly preprocess: number; readonly screen: number; readonly report: number }
  readonly zipMb: Readonly<Record<string, Readonly<Record<string, number>>>>
}

export async function benchLambda(message: ScreeningMessage): Promise<LambdaFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'cardiacnets-bench-'))
  try {
    const event = join(folder, 'event.json')
    await writeFile(event, JSON.stringify(sqsEvent(message)))
    return JSON.parse(await runScript('cdk/bench/measure.ts', event))
  } finally {
    await rm(folder, { recursive: true })
  }
}

function sqsEvent(message: ScreeningMessage) {
  return {
    Records: [
      {
        messageId: 'bench',
        body: JSON.stringify(message),
        attributes: {},
        messageAttributes: {},
        eventSource: 'aws:sqs',
      },
    ],
  }
}
