/**
 * Records all output of a process in a test: what it prints, and every AWS call with its parameters.
 * @module
 */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { S3Client } from '@aws-sdk/client-s3'
import type { SNSClient } from '@aws-sdk/client-sns'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { vi } from 'vitest'

/** Printed from now on, by whatever way; nothing reaches the terminal. `vi.restoreAllMocks` ends it. */
export function watchOutput(): string[] {
  const printed: string[] = []
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((chunk) => printed.push(String(chunk)) > 0)
  }
  for (const level of ['debug', 'info', 'log', 'warn', 'error', 'trace'] as const) {
    vi.spyOn(console, level).mockImplementation((...parts: unknown[]) => void printed.push(parts.map(String).join(' ')))
  }
  return printed
}

export interface AwsCall {
  readonly command: string
  readonly input: Readonly<Record<string, unknown>>
}

export interface AwsWatch {
  readonly calls: AwsCall[]
  /** The next calls of this command fail, with an error whose every text quotes the call. */
  failing: string | undefined
}

export function watchAws(
  ...clients: readonly Pick<S3Client | SQSClient | SNSClient | DynamoDBClient, 'middlewareStack'>[]
): AwsWatch {
  const watch: AwsWatch = { calls: [], failing: undefined }
  for (const { middlewareStack } of clients) {
    // Each client has its own types of the same stack.
    const stack = middlewareStack as S3Client['middlewareStack']
    stack.add(
      (next, context) => (args) => {
        const command = String(context.commandName)
        const input = args.input as AwsCall['input'] // every command's is an object
        if (watch.failing === command) {
          const quote = JSON.stringify(input)
          throw Object.assign(new Error(`refused: ${quote}`), { name: `Refused ${quote}`, code: quote, detail: quote })
        }
        watch.calls.push({ command, input })
        return next(args)
      },
      { step: 'initialize', name: `watch-${clients.indexOf(clients[0]!)}`, override: true },
    )
  }
  return watch
}

/** All texts of a call as one, except for exempt paths: `MessageBody`, `Item.spans.0.patient`. */
export function textsOf(value: unknown, isExempt: (path: string) => boolean = () => false, path = ''): string {
  if (isExempt(path)) return ''
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  if (value instanceof Date) return value.toISOString()
  if (typeof value !== 'object' || value === null) return String(value)
  const entries = value instanceof Set ? [...value].entries() : Object.entries(value)
  return [...entries]
    .map(([key, each]) => `${key} ${textsOf(each, isExempt, path === '' ? String(key) : `${path}.${key}`)}`)
    .join('\n')
}
