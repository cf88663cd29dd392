/**
 * One tenant at what belongs to another: by every route of the API, by a device of the same name, by an address in a notification.
 * @module
 */
import { createServer } from 'node:http'
import { closeServer, listen } from '../../../cdk/local/http.ts'
import { ROUTE_ACTIONS } from '../../../functions/api/audit.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import type { Attack } from './attack.ts'
import { OTHER, OWNER, until, type World } from './world.ts'

const kind = 'cross-tenant'
const mallory = { tenant: OTHER, sub: 'mallory' }

interface Case {
  readonly path: string
  readonly init?: RequestInit
  readonly status: number
}

const json = (body: unknown): RequestInit => ({
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json' },
})

/** For each route: what the other tenant asks of what the owner has, and the right status. */
const ROUTES: Readonly<Record<string, (victim: World['victim'], position: string) => Case>> = {
  'POST /v1/ecgs': ({ device }) => ({ path: `/v1/ecgs?device=${device}`, init: { body: 'no ECG' }, status: 415 }),
  'GET /v1/ecgs': ({ device }) => ({ path: `/v1/ecgs?device=${device}`, status: 200 }),
  'GET /v1/ecgs/:id': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}`, status: 404 }),
  'GET /v1/ecgs/:id/waveform': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/waveform`, status: 404 }),
  'GET /v1/ecgs/:id/subject': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/subject`, status: 404 }),
  'GET /v1/ecgs/:id/model-input': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/model-input`, status: 404 }),
  'POST /v1/ecgs/:id/attribution': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/attribution`, status: 404 }),
  'GET /v1/ecgs/:id/attribution': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/attribution`, status: 404 }),
  'DELETE /v1/ecgs/:id': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}`, status: 404 }),
  'POST /v1/ecgs/:id/cmr': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/cmr`, init: json({}), status: 404 }),
  'GET /v1/ecgs/:id/cmr': ({ ecgId }) => ({ path: `/v1/ecgs/${ecgId}/cmr`, status: 404 }),
  'GET /v1/cmr/:id': ({ jobId }) => ({ path: `/v1/cmr/${jobId}`, status: 404 }),
  'DELETE /v1/cmr/:id': ({ jobId }) => ({ path: `/v1/cmr/${jobId}`, status: 404 }),
  'GET /v1/cmr/:id/artifacts/:name': ({ jobId }) => ({ path: `/v1/cmr/${jobId}/artifacts/sax.webp`, status: 404 }),
  'PUT /v1/devices/:id/association': ({ device, patient }) => ({
    path: `/v1/devices/${device}/association`,
    init: json({ patient, from: '2026-01-01T00:00:00Z' }),
    status: 403,
  }),
  'GET /v1/unidentified': () => ({ path: '/v1/unidentified', status: 200 }),
  'GET /v1/operations': () => ({ path: '/v1/operations', status: 200 }),
  'POST /v1/operations/redrive': () => ({
    path: '/v1/operations/redrive',
    init: json({ queue: 'intake' }),
    status: 200,
  }),
  'GET /v1/events': (_, position) => ({ path: `/v1/events?after=${position}`, status: 200 }),
}

const FROM_THE_BEGINNING = '00000000.~00000000.'

async function askRoute(world: World, route: string): Promise<string> {
  const ask = ROUTES[route]
  if (ask === undefined) return 'no attack for this route'
  const { path, init = {} } = ask(world.victim, FROM_THE_BEGINNING)
  const { status, text } = await world.ask(mallory, path, { ...init, method: route.split(' ')[0]! })
  const { ecgId, jobId } = world.victim
  // A refusal may repeat the request.
  const isTold = status === 200 && [ecgId, jobId].some((secret) => text.includes(secret))
  const [ecg, job] = await Promise.all([
    world.ask({ tenant: OWNER }, `/v1/ecgs/${ecgId}`),
    world.jobs.get(OWNER, jobId),
  ])
  const isWhole = ecg.status === 200 && job?.status === 'queued'
  return `${status}, ${isTold ? 'told' : 'nothing told'}, ${isWhole ? 'nothing changed' : 'changed'}`
}

export const CROSS_TENANT_ATTACKS: readonly Attack[] = [
  ...Object.keys(ROUTE_ACTIONS).map((route) => ({
    kind,
    name: route,
    expected: `${ROUTES[route]?.({} as World['victim'], '').status}, nothing told, nothing changed`,
    run: (world: World) => askRoute(world, route),
  })),
  {
    kind,
    name: "a device with the name of the owner's, by upload and MQTT, without a report on the owner's patient",
    expected: 'reports: 1 after the owner’s own ECG, 1 after both of the other',
    async run(world) {
      const { victim, reportsOn, waitingIn } = world
      await until('the report of the owner', async () => (await reportsOn(victim.patient)) > 0)
      const before = await reportsOn(victim.patient)
      await world.screened(mallory, 'infarct', `?device=${victim.device}`)
      const link = await DeviceLink.open({ url: world.stack.mqttUrl, version: 4 })
      const recording = await readRecording(DEMO)
      const { windows } = await streamRecording(recording, {
        link,
        tenant: OTHER,
        device: victim.device,
        speed: Infinity,
        resultTimeoutMs: 60_000,
      })
      await link.close()
      if (windows.length === 0) return 'no window came of the frames'
      for (const { ecgId } of windows) {
        await until('a result', async () => (await world.ask(mallory, `/v1/ecgs/${ecgId}`)).status === 200)
      }
      // What could have been reported was: nothing waits for the function that reports.
      await until('an empty queue', async () => (await waitingIn('results-fhir')) === 0)
      return `reports: ${before} after the owner’s own ECG, ${await reportsOn(victim.patient)} after both of the other`
    },
  },
  {
    kind,
    name: 'an EHR notification without its secret, or with a wrong one',
    expected: '401 401',
    async run({ request }) {
      const statuses = []
      for (const headers of [{}, { 'x-cardiacnets-secret': 'guess' }]) {
        const init = { method: 'POST', headers, body: '{"resourceType":"Observation","id":"1"}' }
        statuses.push((await request('/fhir/notifications', init)).status)
      }
      return statuses.join(' ')
    },
  },
  {
    kind,
    name: 'an EHR notification that names another server, without a request there',
    expected: 'refused, nobody asked there',
    async run({ request, fhirSecret, waitingIn }) {
      let asked = 0
      const server = createServer((_request, response) => {
        asked++
        response.end('{}')
      })
      const { port } = await listen(server, 0)
      const bundle = {
        resourceType: 'Bundle',
        type: 'history',
        entry: [
          { fullUrl: `http://127.0.0.1:${port}/fhir/Observation/1`, request: { method: 'PUT', url: 'Observation/1' } },
        ],
      }
      const headers = { 'content-type': 'application/fhir+json', 'x-cardiacnets-secret': await fhirSecret() }
      const { status } = await request('/fhir/notifications', { method: 'POST', headers, body: JSON.stringify(bundle) })
      await until('an empty queue', async () => (await waitingIn('fhir-inbound')) === 0)
      await closeServer(server)
      return `${status >= 400 && status < 500 ? 'refused' : status}, ${asked === 0 ? 'nobody' : asked} asked there`
    },
  },
]

const DEMO = 'functions/cli/demo/virtual-ecg.hea'
