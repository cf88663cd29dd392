import { createServer } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { httpApi } from '../../../../cdk/local/aws/http-api.ts'
import { closeServer, listen } from '../../../../cdk/local/http.ts'

const ROUTES = [
  { routeKey: 'ANY /{proxy+}', functionName: 'api' },
  { routeKey: 'GET /healthz', functionName: 'health' },
  { routeKey: 'GET /v1/{kind}/{id}', functionName: 'one' },
]

/** Serves ROUTES; functions answer what `answer` makes of the event. */
async function serve(answer: (event: Record<string, never>, functionName: string) => unknown) {
  const listener = httpApi(ROUTES, async (name, event) => JSON.stringify(answer(JSON.parse(event), name)))
  const server = createServer(listener)
  const { port } = await listen(server, 0)
  onTestFinished(() => closeServer(server))
  return (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init)
}

it('the HTTP API emulator turns a request into an event of payload format 2.0', async () => {
  const request = await serve((event) => event)

  const response = await request('/v2/ecgs?limit=5&tag=a&tag=b', {
    method: 'POST',
    body: '{"a":1}',
    headers: { 'content-type': 'application/json', cookie: 'x=1; y=2', 'X-Thing': 'T' },
  })

  expect(await response.json()).toMatchObject({
    version: '2.0',
    routeKey: 'ANY /{proxy+}',
    rawPath: '/v2/ecgs',
    rawQueryString: 'limit=5&tag=a&tag=b',
    queryStringParameters: { limit: '5', tag: 'a,b' },
    pathParameters: { proxy: 'v2/ecgs' },
    cookies: ['x=1', 'y=2'],
    headers: { 'content-type': 'application/json', 'x-thing': 'T' },
    requestContext: { http: { method: 'POST', path: '/v2/ecgs' }, stage: '$default' },
    body: '{"a":1}',
    isBase64Encoded: false,
  })
})

it.each(['application/octet-stream', 'application/x-www-form-urlencoded', 'application/fhir+json', ''])(
  'the HTTP API emulator sends a body of type %j as base64',
  async (type) => {
    const request = await serve((event) => event)

    const response = await request('/v2/ecgs', {
      method: 'POST',
      body: new Uint8Array([0, 255, 1]),
      headers: type === '' ? {} : { 'content-type': type },
    })

    expect(await response.json()).toMatchObject({ body: 'AP8B', isBase64Encoded: true })
  },
)

it.each([
  ['/healthz', 'health'],
  ['/v1/ecgs/7', 'one'],
  ['/v1/ecgs/7/waveform', 'api'],
  ['/anything', 'api'],
])('the HTTP API emulator gives %s to the most specific route', async (path, functionName) => {
  const request = await serve((_event, name) => ({ name }))

  expect(await (await request(path)).json()).toEqual({ name: functionName })
})

it('the HTTP API emulator answers with the function’s status, headers, cookies and base64 body', async () => {
  const request = await serve(() => ({
    statusCode: 201,
    headers: { 'content-type': 'text/plain', location: '/v1/x' },
    cookies: ['a=1', 'b=2'],
    body: Buffer.from('hello').toString('base64'),
    isBase64Encoded: true,
  }))

  const response = await request('/v2')

  expect(response.status).toBe(201)
  expect(response.headers.get('location')).toBe('/v1/x')
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
  expect(await response.text()).toBe('hello')
})

it('the HTTP API emulator answers 404 without a matching route', async () => {
  const request = await serve(() => ({}))

  expect((await request('/')).status).toBe(404)
})

it('the HTTP API emulator answers 500 without details when the function fails', async () => {
  const request = await serve(() => {
    throw new Error('secret')
  })

  const response = await request('/v2')

  expect(response.status).toBe(500)
  expect(await response.json()).toEqual({ message: 'Internal Server Error' })
})

it('the HTTP API emulator answers 413 to a body over 10 MB', async () => {
  const request = await serve(() => ({}))

  const response = await request('/v2', { method: 'POST', body: new Uint8Array(10 * 1024 * 1024 + 1) })

  expect(response.status).toBe(413)
})
