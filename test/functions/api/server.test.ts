import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningServer, serve } from '../../../functions/api/server.ts'
import { readEvents, startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
let server: RunningServer
let authorization: string

beforeAll(async () => {
  api = await startTestApi({ limits: { maxBytes: 10_000, timeoutMs: 300 } })
  server = await serve(api.app, { port: 0, host: '127.0.0.1' })
  authorization = `Bearer ${await api.token()}`
})
afterAll(async () => {
  await server.close()
  await api.stop()
})

/** An upload whose body is written by `write`, to whatever end. */
async function upload(headers: Record<string, string>, write: (outgoing: ReturnType<typeof request>) => void) {
  const outgoing = request(`${server.url}/v1/ecgs`, { method: 'POST', headers: { authorization, ...headers } })
  // The server can close the connection while the body is still being written.
  outgoing.on('error', () => {})
  const answered = once(outgoing, 'response')
  write(outgoing)
  const [response] = await answered
  const body = JSON.parse(await text(response))
  outgoing.destroy()
  return { status: response.statusCode, code: body.code }
}

describe('a body over the limit', () => {
  it('is refused by its headers, before it arrives', async () => {
    const answer = await upload({ 'content-length': '10000000000' }, (outgoing) => outgoing.flushHeaders())

    expect(answer).toEqual({ status: 413, code: 'payload-too-large' })
  })

  it('is refused as it arrives when its headers state no length (chunked)', async () => {
    const answer = await upload({ 'transfer-encoding': 'chunked' }, (outgoing) => {
      for (let i = 0; i < 11; i++) outgoing.write(Buffer.alloc(1000))
    })

    expect(answer).toEqual({ status: 413, code: 'payload-too-large' })
  })

  it('is refused for JSON too', async () => {
    const response = await fetch(`${server.url}/v1/devices/d/association`, {
      method: 'PUT',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ patient: 'x'.repeat(100_000) }),
    })

    expect(response.status).toBe(413)
  })

  it('is not read from a caller without a token', async () => {
    const answer = await upload({ authorization: 'Bearer x', 'content-length': '10000000000' }, (outgoing) =>
      outgoing.flushHeaders(),
    )

    expect(answer).toEqual({ status: 401, code: 'token-invalid' })
  })
})

describe('a slow body', () => {
  it('causes a timeout', async () => {
    const answer = await upload({ 'content-length': '5000' }, (outgoing) => outgoing.write('x'))

    expect(answer).toEqual({ status: 408, code: 'request-timeout' })
  })

  it('does not affect the server when the caller disconnects', async () => {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.write(
      `POST /v1/ecgs HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 5000\r\n\r\nabc`,
    )

    socket.destroy()
    const health = await fetch(`${server.url}/healthz`)

    expect(health.status).toBe(200)
  })
})

describe('the HTTP server', () => {
  it('streams events as they happen', async () => {
    const response = await fetch(`${server.url}/v1/events`, { headers: { authorization, accept: 'text/event-stream' } })
    const { ecgId } = await api.screened('clinic')

    const [event] = await readEvents(response, 1)

    expect(event!.data.ecgId).toBe(ecgId)
  })

  it('returns the location of the result for a valid upload', async () => {
    const csv = `time,I,II\n${Array.from({ length: 200 }, (_, i) => `${i / 100},0.1,0.2`).join('\n')}`

    const response = await fetch(`${server.url}/v1/ecgs?unit=mV`, {
      method: 'POST',
      headers: { authorization },
      body: csv,
    })

    expect(response.status).toBe(202)
    expect(response.headers.get('location')).toMatch(/^\/v1\/ecgs\/[0-9a-f-]{36}$/)
  })
})
