/**
 * Small cloud assemblies: functions written in the test, wired as a template wires them.
 * @module
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { FunctionSpec } from '../../../cdk/local/lambda/sandbox.ts'
import { startLocalStack } from '../../../cdk/local/stack.ts'
import type { TemplateResource } from '../../../cdk/local/template/intrinsics.ts'
import { STACK_NAME } from '../../../cdk/stack-name.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

/** A folder with `handler.mjs`, as a bundle has it. */
export async function functionFolder(code: string, folder = temporaryFolder()): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'handler.mjs'), code)
  return folder
}

/** A single function, for a sandbox. */
export async function functionSpec(code: string, overrides: Partial<FunctionSpec> = {}): Promise<FunctionSpec> {
  return {
    name: 'worker',
    folder: await functionFolder(code),
    handler: 'handler.handler',
    environment: {},
    timeoutMs: 5_000,
    memoryMb: 128,
    ...overrides,
  }
}

/** An assembly of `resources` and the code of its functions, by asset name. */
export async function assembly(
  resources: Readonly<Record<string, TemplateResource>>,
  code: Readonly<Record<string, string>> = {},
): Promise<string> {
  const folder = temporaryFolder()
  for (const [asset, source] of Object.entries(code)) await functionFolder(source, join(folder, `asset.${asset}`))
  await writeFile(join(folder, `${STACK_NAME}.template.json`), JSON.stringify({ Resources: resources }))
  return folder
}

/** A queue `intake` that shows a failed message again after one second, its DLQ, and a function that it feeds. */
export function workerResources(maxReceiveCount = 10): Readonly<Record<string, TemplateResource>> {
  return {
    Dlq: resource('AWS::SQS::Queue', 'intake-dlq', {}),
    Queue: resource('AWS::SQS::Queue', 'intake', {
      VisibilityTimeout: 1,
      RedrivePolicy: { deadLetterTargetArn: { 'Fn::GetAtt': ['Dlq', 'Arn'] }, maxReceiveCount },
    }),
    Worker: functionResource('worker'),
    Mapping: resource('AWS::Lambda::EventSourceMapping', 'mapping', {
      EventSourceArn: { 'Fn::GetAtt': ['Queue', 'Arn'] },
      FunctionName: { Ref: 'Worker' },
      BatchSize: 10,
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    }),
  }
}

/** A function whose code is the asset of the same name, with a timeout of one second. */
export function functionResource(name: string, properties: Readonly<Record<string, unknown>> = {}): TemplateResource {
  return resource('AWS::Lambda::Function', name, {
    Code: { S3Bucket: 'assets', S3Key: `${name}.zip` },
    Handler: 'handler.handler',
    Runtime: 'nodejs24.x',
    Timeout: 1,
    ...properties,
  })
}

export function resource(type: string, name: string, properties: Readonly<Record<string, unknown>>): TemplateResource {
  return { Type: type, Properties: properties, Metadata: { 'aws:cdk:path': `Test/${name}/Resource` } }
}

/**
 * A stack from a small assembly; it ends with the test, which fails where someone was refused a call, unless that `isRefusalExpected`.
 * Its log is an array of `source: line`.
 */
export async function startSmallStack(
  assemblyDir: string,
  { dataDir, isRefusalExpected = false }: { readonly dataDir?: string; readonly isRefusalExpected?: boolean } = {},
) {
  const log = new Lines()
  const stack = await startLocalStack({
    assemblyDir,
    withoutAdapter: true,
    ...(dataDir === undefined ? {} : { dataDir }),
    log: (source, line) => log.add(`${source}: ${line}`),
  })
  onTestFinished(async () => {
    await stack.stop()
    if (!isRefusalExpected) expect(stack.permissions.violations).toEqual([])
  })
  return { stack, log }
}

/** Lines as they arrive, and a way to wait for them. */
export class Lines {
  readonly all: string[] = []
  #waiters: (() => void)[] = []

  add(line: string): void {
    this.all.push(line)
    for (const wake of this.#waiters.splice(0)) wake()
  }

  /** Resolves once `isEnough` is true of all lines so far. */
  async until(isEnough: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    while (!isEnough(this.all)) await new Promise<void>((resolve) => this.#waiters.push(resolve))
    return this.all
  }
}
