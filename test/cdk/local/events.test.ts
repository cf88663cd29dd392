import { createServer, type IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import { eventsServer } from '../../../cdk/local/events.ts'
import { closeServer, listen } from '../../../cdk/local/http.ts'

const NOWHERE = 'http://127.0.0.1:1'

/** What the server reads at startup; the test does not use it. */
const ENVIRONMENT = {
  RESULTS_TABLE: 'results',
  AUDIT_TABLE: 'audit',
  AUDIT_DAYS: '1',
  RAW_BUCKET: 'raw',
  INTAKE_QUEUE_URL: NOWHERE,
  UPKEEP_QUEUE_URL: NOWHERE,
  AWS_REGION: 'us-east-1',
}

it('the local stack survives clients that disconnect before the answer', async () => {
  const function_ = { name: 'events', folder: '', handler: '', environment: ENVIRONMENT, timeoutMs: 1, memoryMb: 1 }
  const events = eventsServer(function_, () => {})
  onTestFinished(() => events.stop())
  const server = createServer((request, response) => {
    events.answer(request, response).catch(() => response.destroy())
  })
  const { port } = await listen(server, 0)
  onTestFinished(() => closeServer(server))
  const isWell = async () => (await fetch(`http://127.0.0.1:${port}/healthz`)).status
  // It asked all there is to ask, and was gone before the server had started, or before its answer.
  const gone = async () => {
    const asked = { method: 'GET', url: '/healthz', headers: { host: '127.0.0.1' } }
    const incoming = Object.assign(Readable.from([]), asked) as unknown as IncomingMessage
    const response = new ServerResponse(incoming)
    response.destroy()
    await events.answer(incoming, response)
  }

  await Promise.all([gone(), gone()])
  expect(await isWell()).toBe(200)
  await gone()

  expect(await isWell()).toBe(200)
})
