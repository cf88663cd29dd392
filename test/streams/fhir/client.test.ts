import { describe, expect, it, vi } from 'vitest'
import { CodedError } from '../../../shared/errors.ts'
import { createEhrClient, type EhrClient } from '../../../streams/fhir/client.ts'
import type { KeySet } from '../../../streams/fhir/keys.ts'
import { json, testServer } from './helpers/servers.ts'
import { CLIENT_ID, newKeySet, type SmartServer, smartServer } from './helpers/smart-server.ts'

const QUICK = { backoffMs: 1, timeoutMs: 2_000 }
const PATIENT = { resourceType: 'Patient', id: 'secret-42' }

const openClient = (origin: string, transport = {}) =>
  createEhrClient({ baseUrl: `${origin}/fhir`, transport: { ...QUICK, ...transport } })

const smartClient = ({ baseUrl }: SmartServer, keys: KeySet) =>
  createEhrClient({
    baseUrl,
    transport: QUICK,
    smart: { clientId: CLIENT_ID, scope: 'system/*.read', key: async () => keys.signing },
  })

/** The coded error that a call ends in. */
async function failure(call: Promise<unknown>): Promise<CodedError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof CodedError) return error
  throw error ?? new Error('the call ended without an error')
}

describe('the FHIR client with SMART Backend Services', () => {
  it.each(['ES384', 'RS384'] as const)(
    'gets one token for many calls, with an assertion signed by %s',
    async (algorithm) => {
      const keys = newKeySet(algorithm)
      await using server = await smartServer(keys, (_asked, response) => json(response, PATIENT))
      const ehr = smartClient(server, keys)

      const [patient] = await Promise.all([ehr.read('Patient/1'), ehr.read('Patient/2'), ehr.read('Patient/3')])

      expect(patient).toEqual(PATIENT)
      expect(server.tokens).toBe(1)
    },
  )

  it('renews a token before it expires', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const keys = newKeySet()
      await using server = await smartServer(keys, (_asked, response) => json(response, PATIENT))
      const ehr = smartClient(server, keys)
      await ehr.read('Patient/1')

      vi.advanceTimersByTime(239_000)
      await ehr.read('Patient/1')
      const before = server.tokens
      vi.advanceTimersByTime(2_000)
      await ehr.read('Patient/1')

      expect([before, server.tokens]).toEqual([1, 2])
    } finally {
      vi.useRealTimers()
    }
  })

  it.each(['3599', 'soon'])('accepts a token whose expires_in is the text %j', async (life) => {
    const keys = newKeySet('ES384')
    await using server = await smartServer(keys, (_asked, response) => json(response, PATIENT))
    server.expiresInS = life
    const ehr = smartClient(server, keys)

    const read = await Promise.all([ehr.read('Patient/1'), ehr.read('Patient/1')])

    expect(read).toEqual([PATIENT, PATIENT])
    expect(server.tokens).toBe(1)
  })

  it('gets a new token once when the server rejects the old one', async () => {
    const keys = newKeySet()
    await using server = await smartServer(keys, (_asked, response) => json(response, PATIENT))
    const ehr = smartClient(server, keys)
    await ehr.read('Patient/1')
    server.revoke()

    const patient = await ehr.read('Patient/1')

    expect(patient).toEqual(PATIENT)
    expect(server.tokens).toBe(2)
  })

  it('gives up when the server rejects every token', async () => {
    const keys = newKeySet()
    await using server = await smartServer(keys, (_asked, response) => json(response, {}, 401))

    const error = await failure(smartClient(server, keys).read('Patient/1'))

    expect(error.code).toBe('ehr-unauthorized')
    expect(server.asked.filter(({ url }) => url === '/fhir/Patient/1')).toHaveLength(2)
    expect(server.tokens).toBe(2)
  })

  it('reports that the server does not know our key', async () => {
    await using server = await smartServer(newKeySet(), (_asked, response) => json(response, PATIENT))

    const error = await failure(smartClient(server, newKeySet()).read('Patient/1'))

    expect(error).toMatchObject({ code: 'ehr-unauthorized', detail: { field: 'token', status: 400 } })
  })

  it('sends no assertion to a token endpoint of another origin that only the server names', async () => {
    await using elsewhere = await testServer()
    await using server = await testServer((_asked, response) =>
      json(response, { token_endpoint: `${elsewhere.origin}/token` }),
    )
    const ehr = createEhrClient({
      baseUrl: `${server.origin}/fhir`,
      transport: QUICK,
      smart: { clientId: CLIENT_ID, scope: '', key: async () => newKeySet().signing },
    })

    const error = await failure(ehr.read('Patient/1'))

    expect(error.code).toBe('origin-foreign')
    expect(elsewhere.asked).toEqual([])
  })
})

describe('the FHIR client’s origin check', () => {
  it.each([
    ['an absolute reference', (ehr: EhrClient, elsewhere: string) => ehr.read(`${elsewhere}/Patient/1`)],
    ['a URL without a scheme', (ehr: EhrClient, elsewhere: string) => ehr.read(elsewhere.replace('http:', ''))],
    ['a Binary on another server', (ehr: EhrClient, elsewhere: string) => ehr.readBinary(`${elsewhere}/Binary/1`)],
    [
      'our origin as a user name',
      (ehr: EhrClient, elsewhere: string) => ehr.read(elsewhere.replace('//', '//127.0.0.1:80@')),
    ],
    ['a file URL', (ehr: EhrClient) => ehr.read('file:///etc/passwd')],
    ['a parent path', (ehr: EhrClient) => ehr.read('Patient/../../admin')],
    ['a parent path to a Binary', (ehr: EhrClient) => ehr.readBinary('../admin')],
    ['another part of the same origin', (ehr: EhrClient) => ehr.readBinary('/attachments/1')],
    ['an encoded parent path', (ehr: EhrClient) => ehr.readBinary('Binary/..%2f..%2fadmin')],
    ['the metadata service', (ehr: EhrClient) => ehr.readBinary('http://169.254.169.254/latest/meta-data')],
  ])('refuses %s and fetches nothing', async (_name, call) => {
    await using elsewhere = await testServer((_asked, response) => json(response, PATIENT))
    await using server = await testServer((_asked, response) => json(response, PATIENT))

    const error = await failure(call(openClient(server.origin), elsewhere.origin))

    expect(['origin-foreign', 'field-invalid']).toContain(error.code)
    expect(elsewhere.asked).toEqual([])
    expect(server.asked).toEqual([])
  })

  it('refuses a redirect to another origin and follows one within its own', async () => {
    await using elsewhere = await testServer((_asked, response) => json(response, PATIENT))
    await using server = await testServer(({ url }, response) => {
      if (url === '/fhir/Patient/away')
        return void response.writeHead(307, { location: `${elsewhere.origin}/Patient/1` }).end()
      if (url === '/fhir/Patient/moved') return void response.writeHead(307, { location: 'stays' }).end()
      if (url === '/fhir/Patient/circle') return void response.writeHead(307, { location: 'circle' }).end()
      json(response, PATIENT)
    })
    const ehr = openClient(server.origin)

    const moved = await ehr.read('Patient/moved')
    const away = await failure(ehr.read('Patient/away'))
    const circle = await failure(ehr.read('Patient/circle'))

    expect(moved).toEqual(PATIENT)
    expect(away.code).toBe('origin-foreign')
    expect(circle.code).toBe('ehr-refused')
    expect(elsewhere.asked).toEqual([])
  })

  it('refuses a next page on another origin', async () => {
    await using elsewhere = await testServer((_asked, response) => json(response, { resourceType: 'Bundle' }))
    await using server = await testServer((_asked, response) =>
      json(response, { resourceType: 'Bundle', link: [{ relation: 'next', url: `${elsewhere.origin}/fhir?page=2` }] }),
    )
    const pages: unknown[] = []

    const error = await failure(
      (async () => {
        for await (const page of openClient(server.origin).searchPages('Observation', { code: '11524-6' }))
          pages.push(page)
      })(),
    )

    expect(error.code).toBe('origin-foreign')
    expect(pages).toHaveLength(1)
    expect(elsewhere.asked).toEqual([])
  })

  it.each([
    'http://ehr.example/fhir',
    'https://user:word@ehr.example/fhir',
    'ftp://ehr.example',
    'nonsense',
    'https://ehr.example/fhir?x=1',
  ])('refuses the base %s with a token', (baseUrl) => {
    const open = () =>
      createEhrClient({ baseUrl, smart: { clientId: '', scope: '', key: async () => newKeySet().signing } })

    expect(open).toThrow('site-config-invalid')
  })
})

describe('the FHIR client with a failing server', () => {
  it.each([429, 503])('retries after a %i', async (status) => {
    await using server = await testServer((_asked, response) =>
      server.asked.length < 3 ? void response.writeHead(status, { 'retry-after': '0' }).end() : json(response, PATIENT),
    )

    const patient = await openClient(server.origin).read('Patient/1')

    expect(patient).toEqual(PATIENT)
    expect(server.asked).toHaveLength(3)
  })

  it('leaves the retry to the queue when Retry-After exceeds the call’s limit', async () => {
    await using server = await testServer(
      (_asked, response) => void response.writeHead(503, { 'retry-after': '3600' }).end(),
    )

    const error = await failure(openClient(server.origin).read('Patient/1'))

    expect(error).toMatchObject({ code: 'ehr-unavailable', detail: { status: 503 } })
    expect(error.kind.permanent).toBe(false)
    expect(server.asked).toHaveLength(1)
  })

  it('makes a limited number of attempts', async () => {
    await using server = await testServer((_asked, response) => void response.writeHead(500).end())

    const error = await failure(openClient(server.origin).read('Patient/1'))

    expect(error.code).toBe('ehr-unavailable')
    expect(server.asked).toHaveLength(4)
  })

  it('does not retry a create unless it is conditional', async () => {
    await using server = await testServer((_asked, response) => void response.destroy())
    const ehr = openClient(server.origin)

    const plain = await failure(ehr.create(PATIENT))
    const afterPlain = server.asked.length
    const conditional = await failure(ehr.create(PATIENT, { ifNoneExist: 'identifier=a|b' }))

    expect([plain.code, conditional.code]).toEqual(['ehr-unavailable', 'ehr-unavailable'])
    expect(afterPlain).toBe(1)
    expect(server.asked).toHaveLength(5)
    expect(server.asked[1]!.headers['if-none-exist']).toBe('identifier=a|b')
  })

  it('gives up when the server does not answer in time', async () => {
    await using server = await testServer(() => {})

    const error = await failure(openClient(server.origin, { timeoutMs: 50, attempts: 2 }).read('Patient/1'))

    expect(error).toMatchObject({ code: 'ehr-unavailable', detail: { cause: 'timeout' } })
    expect(server.asked).toHaveLength(2)
  })

  it('stops reading an answer above the size limit', async () => {
    await using server = await testServer((_asked, response) => void response.writeHead(200).end('x'.repeat(100_000)))

    const error = await failure(openClient(server.origin, { maxBytes: 10_000 }).read('Patient/1'))

    expect(error.code).toBe('payload-too-large')
  })

  it.each([
    [400, 'ehr-refused'],
    [403, 'ehr-forbidden'],
    [404, 'not-found'],
    [410, 'not-found'],
    [422, 'ehr-refused'],
    [200, 'ehr-malformed'],
  ] as const)('reports %i as %s, without any of the server’s text', async (status, code) => {
    await using server = await testServer(
      (_asked, response) => void response.writeHead(status).end('Jane Doe, born 1970'),
    )

    const error = await failure(openClient(server.origin).read('Patient/secret-42'))

    expect(error.code).toBe(code)
    expect(JSON.stringify([error.message, error.detail, String(error.cause)])).not.toMatch(/Jane|secret-42/)
  })
})

describe('the FHIR client', () => {
  it('follows all pages of a search', async () => {
    await using server = await testServer(({ url }, response) => {
      const page = Number(new URL(url, 'http://x').searchParams.get('page') ?? 1)
      const link = page < 3 ? [{ relation: 'next', url: `${server.origin}/fhir?page=${page + 1}` }] : []
      json(response, { resourceType: 'Bundle', id: String(page), link })
    })

    const pages: unknown[] = []

    for await (const { id } of openClient(server.origin).searchPages('Observation', { code: ['a', 'b'], _count: 2 }))
      pages.push(id)

    expect(pages).toEqual(['1', '2', '3'])
    expect(server.asked[0]!.url).toBe('/fhir/Observation?code=a&code=b&_count=2')
  })

  it('posts a transaction to the base URL', async () => {
    await using server = await testServer((_asked, response) =>
      json(response, { resourceType: 'Bundle', type: 'transaction-response' }),
    )

    const answer = await openClient(server.origin).transaction({ resourceType: 'Bundle' })

    expect(answer.type).toBe('transaction-response')
    expect(server.asked[0]).toMatchObject({
      method: 'POST',
      url: '/fhir',
      headers: { 'content-type': 'application/fhir+json' },
    })
  })

  it.each([
    ['an OperationOutcome', { resourceType: 'OperationOutcome', issue: [] }, 'ehr-malformed'],
    ['a refused entry', [{ response: { status: '201 Created' } }, { response: { status: '400' } }], 'ehr-refused'],
    ['a failed entry', [{ response: { status: '503 Busy' } }], 'ehr-unavailable'],
  ])('takes no transaction for written that is answered with %s and the status 200', async (_what, answer, code) => {
    const body = Array.isArray(answer) ? { resourceType: 'Bundle', type: 'batch-response', entry: answer } : answer
    await using server = await testServer((_asked, response) => json(response, body))

    const error = await failure(openClient(server.origin).transaction({ resourceType: 'Bundle' }))

    expect(error.code).toBe(code)
  })

  it('takes the ID of a created resource from its location when there is no body', async () => {
    await using server = await testServer(
      (_asked, response) =>
        void response.writeHead(201, { location: `${server.origin}/fhir/Subscription/7/_history/1` }).end(),
    )

    const created = await openClient(server.origin).create({ resourceType: 'Subscription' })

    expect(created).toEqual({ resourceType: 'Subscription', id: '7' })
  })

  it('reads a JSON attachment as JSON', async () => {
    await using server = await testServer((_asked, response) =>
      json(response, { resourceType: 'Observation', id: '1' }),
    )

    const { bytes } = await openClient(server.origin).readBinary('Binary/1')

    expect(JSON.parse(bytes.toString('utf8'))).toEqual({ resourceType: 'Observation', id: '1' })
  })

  it('reads a Binary, whether the server wraps it or not', async () => {
    await using server = await testServer(({ url }, response) =>
      url.endsWith('/1')
        ? void response.writeHead(200, { 'content-type': 'text/csv; charset=utf-8' }).end('I,II')
        : json(response, {
            resourceType: 'Binary',
            contentType: 'text/csv',
            data: Buffer.from('I,II').toString('base64'),
          }),
    )
    const ehr = openClient(server.origin)

    const [plain, wrapped] = await Promise.all([
      ehr.readBinary('Binary/1'),
      ehr.readBinary(`${server.origin}/fhir/Binary/2`),
    ])

    expect(plain).toEqual({ contentType: 'text/csv', bytes: Buffer.from('I,II') })
    expect(wrapped).toEqual(plain)
  })
})
