import { spawnSync } from 'node:child_process'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { startEmulators } from '../../../cdk/local/aws/emulators.ts'
import { clientOptions } from '../../../cdk/local/template/plan.ts'
import { sentenceOf } from '../../../shared/error-sentences.ts'
import type { CodedError } from '../../../shared/errors.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

afterEach(() => vi.restoreAllMocks())

/** A disk of this size in bytes, if this user may mount one. */
function smallDisk(bytes: number): string | undefined {
  const folder = temporaryFolder()
  const isThere = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder]).status === 0
  if (isThere) onTestFinished(() => void spawnSync('umount', ['-l', folder]))
  return isThere ? folder : undefined
}

/** Leaves no room. */
function fill(folder: string): string {
  const { bavail, bsize } = statfsSync(folder)
  const path = join(folder, 'filler')
  writeFileSync(path, Buffer.alloc(bavail * bsize))
  return path
}

/** Fails as SQLite does without space, for machines where a small disk cannot be mounted. */
function refuseCommits(): void {
  const { exec } = DatabaseSync.prototype
  vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, text: string) {
    if (text === 'COMMIT') throw Object.assign(new Error('database or disk is full'), { errcode: 13 })
    exec.call(this, text)
  })
}

describe('a full disk', () => {
  it.each([
    ['the journal', 'journal.db', (path: string) => new Journal(path)],
    ['the gateway’s store', 'ecgs.db', (path: string) => new Store(path, { limitBytes: 1e9, forwards: false })],
  ])('is reported by %s with the path; no data are lost, and writing resumes when there is space', (_, name, open) => {
    const folder = temporaryFolder()
    const journal = open(join(folder, name))
    onTestFinished(() => journal.close())
    refuseCommits()

    const write = () => journal.transaction(() => 'written')

    let fault: CodedError | undefined
    try {
      write()
    } catch (error) {
      fault = error as CodedError
    }
    expect(fault?.code).toBe('disk-full')
    expect(sentenceOf(fault!)).toBe(
      `The disk is full: ${name} of ${folder}. Free some space. Acknowledged data is kept.`,
    )
    vi.restoreAllMocks()
    expect(write()).toBe('written')
  })

  it('makes the table emulator answer 500 until there is space', async ({ skip }) => {
    const folder = smallDisk(3 * 1024 * 1024)
    if (folder === undefined) return skip('no disk can be made here')
    const said: string[] = []
    const { endpoint, dynamoEndpoint, stop } = await startEmulators(folder, undefined, (line) => said.push(line))
    const dynamo = new DynamoDBClient({ ...clientOptions(endpoint), endpoint: dynamoEndpoint, maxAttempts: 1 })
    await dynamo.send(
      new CreateTableCommand({
        TableName: 'ecgs',
        KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
        AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
        BillingMode: 'PAY_PER_REQUEST',
      }),
    )
    await waitUntilTableExists(
      { client: dynamo, maxWaitTime: 10, minDelay: 0.01, maxDelay: 0.1 },
      { TableName: 'ecgs' },
    )
    const put = (pk: string) =>
      dynamo.send(new PutItemCommand({ TableName: 'ecgs', Item: { pk: { S: pk }, body: { S: 'x'.repeat(20_000) } } }))
    await put('before')
    const filler = fill(folder)

    const refused = await put('full').catch((error: unknown) => error)
    rmSync(filler)
    await vi.waitFor(() => put('after'), { timeout: 20_000, interval: 200 })
    await stop()

    expect(refused).toMatchObject({ $metadata: { httpStatusCode: 500 } })
    expect(said).toEqual([
      expect.stringMatching(/tables cannot be used: .*Calls are answered with 500 until it can be\.$/),
      expect.stringMatching(/tables is open again\.$/),
    ])
    const again = await startEmulators(folder)
    onTestFinished(again.stop)
    const reader = new DynamoDBClient({ ...clientOptions(again.endpoint), endpoint: again.dynamoEndpoint })
    for (const pk of ['before', 'after']) {
      const { Item } = await reader.send(new GetItemCommand({ TableName: 'ecgs', Key: { pk: { S: pk } } }))
      expect(Item?.pk).toEqual({ S: pk })
    }
  }, 60_000)
})
