import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { Cloud } from '../../../streams/gateway/cloud.ts'
import { Forwarder } from '../../../streams/gateway/forwarder.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { until } from './helpers.ts'
import { generator } from './process.ts'

const NOW = 1e12
const [DEVICES, WINDOWS] = [3, 20]

let store: Store
let ending: AbortController
beforeEach(() => {
  store = new Store(':memory:', { limitBytes: 1e9, forwards: true })
  ending = new AbortController()
})
afterEach(() => store.close())

/** Windows of several devices, taken in turn while the cloud was away. */
function storeBacklog(): void {
  for (let window = 0; window < WINDOWS; window++) {
    for (let index = 0; index < DEVICES; index++) storeWindow(`d${index}`, window, NOW - 3_600_000 + window)
  }
}

function storeWindow(device: string, window: number, receivedAtMs: number): void {
  const firstSample = 5000 * window
  store.addEcg(
    {
      door: 'mqtt',
      envelope: {
        schema: 1,
        tenant: 'local',
        ecgId: streamEcgId({ tenant: 'local', source: 'mqtt', device, session: 's1', firstSample }),
        origin: { kind: 'mqtt', device, session: 's1' },
        span: { startedAt: null, firstSample, durationMs: 10_000 },
      },
      packed: new Uint8Array(),
      about: { order: {}, visit: { patient: undefined, authority: undefined, bed: undefined } },
    },
    receivedAtMs,
  )
}

/** Takes as long as it likes for each, and fails now and then. */
function moodyCloud() {
  const random = generator(7)
  const got: { readonly device: string; readonly window: number }[] = []
  const cloud: Cloud = {
    async send({ envelope: { origin, span } }) {
      await new Promise((over) => setTimeout(over, 20 * random()))
      if (random() < 0.02) throw new CodedError('unavailable', { field: 'forward' })
      got.push({ device: 'device' in origin ? origin.device! : '', window: span.firstSample / 5000 })
    },
  }
  return { got, cloud }
}

function start(cloud: Cloud, backlogPerSecond = 1000): Forwarder {
  return new Forwarder({
    store,
    cloud,
    backlogPerSecond,
    now: () => NOW,
    signal: ending.signal,
    onForwarded: () => {},
    onState: () => {},
    onRefused: () => {},
  })
}

describe('the forwarder', () => {
  it("sends each device's backlog in order of time", async () => {
    storeBacklog()
    const { got, cloud } = moodyCloud()

    const forwarder = start(cloud)
    await until(
      () => store.counts().toForward,
      (count) => count === 0,
    )
    ending.abort()
    await forwarder.ended

    const ofEach = Map.groupBy(got, ({ device }) => device)
    const inTime = Array.from({ length: WINDOWS }, (_, window) => window)
    expect([...ofEach.values()].map((own) => [...new Set(own.map(({ window }) => window))])).toEqual([
      inTime,
      inTime,
      inTime,
    ])
  })

  it('sends new windows before the backlog', async () => {
    storeBacklog()
    storeWindow('d0', WINDOWS, NOW)
    const { got, cloud } = moodyCloud()

    const forwarder = start(cloud, 10)
    await until(
      () => got.some(({ window }) => window === WINDOWS),
      (isThere) => isThere,
    )
    ending.abort()
    await forwarder.ended

    expect(got.length).toBeLessThan(DEVICES * WINDOWS)
  })
})
