import { createServer } from 'node:http'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { listen } from '../../../cdk/local/http.ts'
import { type Resource, type SandboxEhr, startSandboxEhr } from '../../../cdk/local/sandbox-ehr/index.ts'

let ehr: SandboxEhr

beforeEach(async () => {
  ehr = await startSandboxEhr({ attempts: 3, backoffMs: 1 })
  return () => ehr.stop()
})

const patient = (family = 'Virtual'): Resource => ({ resourceType: 'Patient', name: [{ family }] })
const observation = (subject: string, fields: object = {}): Resource => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '11524-6' }] },
  subject: { reference: subject },
  ...fields,
})
const identified = (value: string) => ({ identifier: [{ system: 'urn:test', value }] })

async function request(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${ehr.baseUrl}${path}`, {
    method,
    headers: { 'content-type': 'application/fhir+json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, json: text === '' ? {} : JSON.parse(text) }
}

const post = (resource: Resource, headers = {}) => request('POST', `/${resource.resourceType}`, resource, headers)
const transaction = (entry: readonly object[]) =>
  request('POST', '', { resourceType: 'Bundle', type: 'transaction', entry })
const create = (resource: Resource, more: { fullUrl?: string; ifNoneExist?: string } = {}) => {
  const { fullUrl, ...condition } = more
  return {
    ...(fullUrl ? { fullUrl } : {}),
    resource,
    request: { method: 'POST', url: resource.resourceType, ...condition },
  }
}

describe('the sandbox EHR', () => {
  it('states its capabilities', async () => {
    const { json } = await request('GET', '/metadata')

    expect(json).toMatchObject({ resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' })
  })

  it('creates, reads, updates and deletes resources, and keeps versions', async () => {
    const created = await post(patient())
    const path = `/Patient/${created.json.id}`

    const updated = await request('PUT', path, { ...created.json, active: true }, { 'if-match': 'W/"1"' })
    const stale = await request('PUT', path, { ...created.json, active: false }, { 'if-match': 'W/"1"' })
    const first = await request('GET', `${path}/_history/1`)
    await request('DELETE', path)
    const gone = await request('GET', path)

    expect(created.status).toBe(201)
    expect(created.headers.get('location')).toBe(`${ehr.baseUrl}${path}/_history/1`)
    expect(updated.json).toMatchObject({ active: true, meta: { versionId: '2' } })
    expect(stale.status).toBe(412)
    expect(first.json.active).toBeUndefined()
    expect(gone.status).toBe(410)
  })

  it('refuses invalid FHIR R4 and names the element', async () => {
    const { status, json } = await post({ resourceType: 'Observation', status: 'nonsense', code: { text: 'x' } })

    expect(status).toBe(422)
    expect(json.issue[0].diagnostics).toContain('Observation.status')
  })

  it('refuses a reference to an unknown resource', async () => {
    const { status } = await post(observation('Patient/nobody'))

    expect(status).toBe(422)
  })

  it('creates a resource once with a condition', async () => {
    const headers = { 'if-none-exist': 'identifier=urn:test|1' }
    const first = await post({ ...patient(), ...identified('1') }, headers)

    const second = await post({ ...patient(), ...identified('1') }, headers)

    expect([first.status, second.status]).toEqual([201, 200])
    expect(second.json.id).toBe(first.json.id)
  })

  it('preserves the bytes of a Binary', async () => {
    const response = await fetch(`${ehr.baseUrl}/Binary`, {
      method: 'POST',
      headers: { 'content-type': 'application/dicom' },
      body: Buffer.from([0, 1, 255]),
    })
    const { id } = JSON.parse(await response.text())

    const content = await fetch(`${ehr.baseUrl}/Binary/${id}`)

    expect(content.headers.get('content-type')).toBe('application/dicom')
    expect(Buffer.from(await content.arrayBuffer())).toEqual(Buffer.from([0, 1, 255]))
  })
})

describe('the sandbox EHR’s search', () => {
  it('finds resources by code, patient, identifier, time and their absence', async () => {
    const { id } = ehr.create(patient())
    const old = ehr.create(observation(`Patient/${id}`, identified('old')))
    const aiast = { security: [{ system: 'http://s', code: 'AIAST' }] }
    ehr.create(observation(`Patient/${id}`, { ...identified('new'), meta: aiast }))
    const find = async (query: string) => {
      const { json } = await request('GET', `/Observation?${query}`)
      return json.entry.map(({ resource }: { resource: Resource }) => Object(resource.identifier)[0].value)
    }

    expect(await find('code=http://loinc.org|11524-6')).toEqual(['old', 'new'])
    expect(await find('code=1,11524-6&_sort=-_lastUpdated')).toEqual(['new', 'old'])
    expect(await find('code=http://snomed.info/sct|11524-6')).toEqual([])
    expect(await find(`patient=${id}&identifier=urn:test|new`)).toEqual(['new'])
    expect(await find(`subject=Patient/${id}&_security:not=AIAST`)).toEqual(['old'])
    expect(await find(`_lastUpdated=gt${old.meta.lastUpdated}`)).toEqual(['new'])
    expect(await find(`_lastUpdated=le${old.meta.lastUpdated}`)).toEqual(['old'])
  })

  it('returns pages without gaps or duplicates', async () => {
    for (let i = 0; i < 7; i++) ehr.create(patient(`P${i}`))
    const names: string[] = []

    let url: string | undefined = `${ehr.baseUrl}/Patient?_count=3`
    while (url !== undefined) {
      const page: { entry: { resource: { name: { family: string }[] } }[]; link: { relation: string; url: string }[] } =
        JSON.parse(await (await fetch(url)).text())
      names.push(...page.entry.map(({ resource }) => resource.name[0]!.family))
      url = page.link.find(({ relation }) => relation === 'next')?.url
    }

    expect(names).toEqual(['P0', 'P1', 'P2', 'P3', 'P4', 'P5', 'P6'])
  })

  it('refuses an unknown parameter', async () => {
    const { status } = await request('GET', '/Observation?colour=red')

    expect(status).toBe(400)
  })
})

describe('the sandbox EHR’s transaction', () => {
  it('resolves temporary references between its resources', async () => {
    const { json } = await transaction([
      create(observation('urn:uuid:p'), { fullUrl: 'urn:uuid:o' }),
      create(patient(), { fullUrl: 'urn:uuid:p' }),
    ])

    const [location] = json.entry[0].response.location.split('/_history')
    const read = await request('GET', `/${location}`)
    expect(read.json.subject.reference).toBe(json.entry[1].response.location.split('/_history')[0])
  })

  it('creates no duplicates when it is repeated', async () => {
    const entries = [
      create({ ...patient(), ...identified('p') }, { fullUrl: 'urn:uuid:p', ifNoneExist: 'identifier=urn:test|p' }),
      create(observation('urn:uuid:p', identified('o')), { ifNoneExist: 'identifier=urn:test|o' }),
    ]
    await transaction(entries)

    const { json } = await transaction(entries)

    expect(json.entry.map(({ response }: { response: { status: string } }) => response.status)).toEqual(['200', '200'])
    expect([...ehr.store.all('Observation')]).toHaveLength(1)
  })

  it.each([
    ['an invalid resource', create({ resourceType: 'Observation', status: 'x', code: { text: 'x' } })],
    ['a reference to an unknown resource', create(observation('Patient/nobody'))],
    [
      'an outdated version',
      { resource: { ...patient(), id: 'kept' }, request: { method: 'PUT', url: 'Patient/kept', ifMatch: 'W/"9"' } },
    ],
  ])('stores nothing with %s', async (_, bad) => {
    await request('PUT', '/Patient/kept', { ...patient('Before'), id: 'kept' })

    const update = { resource: { ...patient('After'), id: 'kept' }, request: { method: 'PUT', url: 'Patient/kept' } }
    const { status } = await transaction([create(patient('New')), update, bad])

    expect(status).toBeGreaterThanOrEqual(400)
    expect([...ehr.store.all('Patient')]).toMatchObject([{ name: [{ family: 'Before' }], meta: { versionId: '1' } }])
  })
})

describe('the sandbox EHR’s subscription', () => {
  /** An endpoint that records requests, and refuses a given number of them. */
  async function endpoint(refusals = 0) {
    const calls: { method?: string; url?: string; secret?: unknown; body: string }[] = []
    const server = createServer(async (incoming, response) => {
      let body = ''
      for await (const chunk of incoming) body += chunk
      const { method = '', url = '', headers } = incoming
      calls.push({ method, url, secret: headers['x-secret'], body })
      response.writeHead(calls.length <= refusals ? 503 : 200).end()
    })
    const { port } = await listen(server, 0)
    onTestFinished(() => void server.close())
    return { url: `http://127.0.0.1:${port}/hook`, calls }
  }

  const subscribe = (channel: object, fields: object = {}) =>
    post({
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'test',
      criteria: 'Observation?code=11524-6&_security:not=AIAST',
      channel: { type: 'rest-hook', header: ['x-secret: s'], ...channel },
      ...fields,
    })

  it('sends an empty POST with its headers when it has no payload', async () => {
    const { url, calls } = await endpoint()
    const { json } = await subscribe({ endpoint: url })
    const { id } = ehr.create(patient())

    ehr.create(observation(`Patient/${id}`))
    ehr.create(observation(`Patient/${id}`, { meta: { security: [{ code: 'AIAST' }] } }))
    await ehr.delivered()

    expect(calls).toEqual([{ method: 'POST', url: '/hook', secret: 's', body: '' }])
    expect(ehr.store.read('Subscription', json.id).status).toBe('active')
  })

  it('sends the resource when it has a payload', async () => {
    const { url, calls } = await endpoint()
    await subscribe({ endpoint: url, payload: 'application/fhir+json' })
    const { id } = ehr.create(patient())

    const created = ehr.create(observation(`Patient/${id}`))
    await ehr.delivered()

    expect(calls).toMatchObject([{ method: 'PUT', url: `/hook/Observation/${created.id}` }])
    expect(JSON.parse(calls[0]!.body)).toEqual(created)
  })

  it.each(['empty', 'id-only', 'full-resource'])(
    'sends a handshake and then notification Bundles for a topic (%s)',
    async (content) => {
      const { url, calls } = await endpoint()
      const backport = 'http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition'
      const { status } = await subscribe(
        {
          endpoint: url,
          payload: 'application/fhir+json',
          _payload: { extension: [{ url: `${backport}/backport-payload-content`, valueCode: content }] },
        },
        {
          criteria: 'http://example.org/topic',
          _criteria: {
            extension: [{ url: `${backport}/backport-filter-criteria`, valueString: 'Observation?code=11524-6' }],
          },
        },
      )
      const { id } = ehr.create(patient())

      const created = ehr.create(observation(`Patient/${id}`))
      await ehr.delivered()

      expect(status).toBe(201)
      const [handshake, event] = calls.map((call) => JSON.parse(call.body))
      expect(handshake.entry[0].resource.parameter).toContainEqual({ name: 'type', valueCode: 'handshake' })
      expect(event.entry[0].resource.parameter).toContainEqual({ name: 'type', valueCode: 'event-notification' })
      expect(event.entry[1]?.fullUrl).toBe(content === 'empty' ? undefined : `${ehr.baseUrl}/Observation/${created.id}`)
      expect(event.entry[1]?.resource).toEqual(content === 'full-resource' ? created : undefined)
    },
  )

  it('repeats notifications in order after a failure', async () => {
    const { url, calls } = await endpoint(2)
    await subscribe({ endpoint: url, payload: 'application/fhir+json' })
    const { id } = ehr.create(patient())

    const first = ehr.create(observation(`Patient/${id}`))
    const second = ehr.create(observation(`Patient/${id}`))
    await ehr.delivered()

    expect(calls.map((call) => call.url)).toEqual(
      [first, first, first, second].map((each) => `/hook/Observation/${each.id}`),
    )
  })

  it('gets the status error and a reason when its endpoint is unreachable', async () => {
    const { url } = await endpoint(99)
    const { json } = await subscribe({ endpoint: url })
    const { id } = ehr.create(patient())

    ehr.create(observation(`Patient/${id}`))
    await ehr.delivered()

    expect(ehr.store.read('Subscription', json.id)).toMatchObject({ status: 'error', error: 'answered 503' })
  })

  it('is refused for another machine', async () => {
    const { status } = await subscribe({ endpoint: 'https://elsewhere.example/hook' })

    expect(status).toBe(422)
  })
})
