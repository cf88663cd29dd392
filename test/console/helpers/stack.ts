/**
 * The real local stack with the console, for browser tests, and ECGs in it.
 * @module
 */
import { openAsBlob } from 'node:fs'
import { basename, resolve } from 'node:path'
import { buildConsole } from '../../../cdk/local/console-build.ts'
import { startLocalStack } from '../../../cdk/local/stack.ts'

const DEMO = resolve(import.meta.dirname, '../../../functions/cli/demo/virtual-ecg')

export interface ConsoleStack {
  readonly apiUrl: string
  readonly mqttUrl: string
  /** Where the stack's queues are, and one of those that messages end in; not of a stack that runs already. */
  readonly emulator?: string
  readonly deadLetterUrl?: string
  stop(): Promise<void>
}

/** `CONSOLE_STACK="http://127.0.0.1:8080 mqtt://127.0.0.1:1883"` tests a stack that runs already (`npm start`), which saves its start. */
export async function startConsoleStack(): Promise<ConsoleStack> {
  const [apiUrl, mqttUrl] = process.env.CONSOLE_STACK?.split(' ') ?? []
  if (apiUrl !== undefined && mqttUrl !== undefined) return { apiUrl, mqttUrl, stop: async () => {} }
  const consoleDir = await buildConsole()
  if (consoleDir === undefined) throw new Error('the console is not built, and cannot be')
  // A drawing must not wait for everything else that this machine does.
  const stack = await startLocalStack({ consoleDir, batchPriority: 0 })
  const { apiUrl: api, mqttUrl: mqtt, env, queueUrls } = stack
  const more = { emulator: env.AWS_ENDPOINT_URL_SQS!, deadLetterUrl: queueUrls['fhir-inbound-dlq']! }
  return { apiUrl: api, mqttUrl: mqtt, ...more, stop: () => stack.stop() }
}

/** Files that make one recording, in; resolves with the ECG's id once its result is there. */
export async function screened(apiUrl: string, files: readonly string[] = demoFiles(), query = ''): Promise<string> {
  const form = new FormData()
  for (const file of files) form.append('file', await openAsBlob(file), basename(file))
  const deadline = Date.now() + 180_000
  const post = () => fetch(`${apiUrl}/v1/ecgs${query}`, { method: 'POST', body: form })
  let taken = await post()
  // The same ECG was just deleted, and its removal is not done.
  while (taken.status === 503 && Date.now() < deadline) {
    await new Promise((done) => setTimeout(done, 1000 * Number(taken.headers.get('retry-after') ?? 1)))
    taken = await post()
  }
  if (!taken.ok) throw new Error(`the API refused the upload: ${taken.status}`)
  const { ecgId } = (await taken.json()) as { ecgId: string }
  while (Date.now() < deadline) {
    const answer = await fetch(`${apiUrl}/v1/ecgs/${ecgId}`)
    if (answer.status === 200) return ecgId
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error('no result came')
}

export const demoFiles = () => [`${DEMO}.hea`, `${DEMO}.dat`]
