import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LEADS } from '../../../shared/domain/leads.ts'
import { toCodedError } from '../../../shared/errors.ts'
import { encodeWaveform } from '../../../shared/waveform/codec.ts'
import { encodeWindow } from '../../../streams/mqtt/frame-codec.ts'
import { Ingest } from '../../../streams/mqtt/ingest.ts'
import { type DeviceWindow, intakeEnvelope, readDeviceWindow } from '../../../streams/mqtt/intake-message.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { makeFrame, NOW } from './helpers/factories.ts'

const TOPIC = 'ecg/v1/clinic/d1/window'

/** What the intake would be told of a window. */
const described = (window: DeviceWindow) => ({
  ...intakeEnvelope(window),
  waveform: encodeWaveform(window.waveform).toString('base64'),
})

type Received = ReturnType<typeof described> | { readonly code: string } | undefined

/** By way of the adapter: its journal, in memory. */
function throughAdapter(topic: string, payload: Uint8Array): Received {
  const journal = new Journal(':memory:')
  let monotonicMs = 0
  const outcomes: Received[] = []
  const ingest = new Ingest({
    journal,
    clock: { now: () => NOW, monotonic: () => monotonicMs },
    idleMs: 15_000,
    output: {
      windowsClosed: (ids) => outcomes.push(...ids.map((id) => described(journal.readWindow(id)))),
      refused: (_id, { code }) => outcomes.push({ code }),
      failed: (error) => {
        throw error
      },
    },
  })
  ingest.receive({ topic, payload, contentType: undefined, acknowledge: () => {} })
  ingest.flush()
  // A session first seen in its middle may have begun earlier: the adapter waits for the rest until the session is silent.
  monotonicMs = 20_000
  ingest.sweep()
  journal.close()
  expect(outcomes.length).toBeLessThan(2)
  return outcomes[0]
}

/** By way of AWS IoT Core. */
function throughIot(topic: string, payload: Uint8Array): Received {
  try {
    const window = readDeviceWindow(topic, payload, NOW)
    return window && described(window)
  } catch (error) {
    return { code: toCodedError(error).code }
  }
}

const RATE_HZ = 100

const device = fc.record({
  session: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,9}$/),
  window: fc.nat(40),
  // 1,000 are a whole window.
  length: fc.oneof(fc.constant(1000), fc.integer({ min: 1, max: 1000 })),
  leads: fc.subarray([...LEADS], { minLength: 1 }),
  gainUv: fc.constantFrom(0.5, 2.5, 4.88),
  heartRateBpm: fc.option(fc.double({ min: 20, max: 300, noNaN: true })),
  sessionStartedAtMs: fc.integer({ min: NOW - 1e9, max: NOW }),
  encoding: fc.constantFrom('protobuf' as const, 'json' as const),
  seed: fc.nat(),
})

function payloadOf({ window, length, leads, gainUv, heartRateBpm, encoding, seed, ...named }: Draw): Buffer {
  const {
    sequence: _,
    isLast: __,
    ...frame
  } = makeFrame({
    ...named,
    rateHz: RATE_HZ,
    firstSample: window * 10 * RATE_HZ,
    leads: leads.map((name) => ({ name, gainUv })),
    // A missing sample now and then.
    samples: Int16Array.from({ length: leads.length * length }, (_, at) =>
      (at + seed) % 97 === 0 ? -0x8000 : ((at * 31 + seed) % 4001) - 2000,
    ),
    ...(heartRateBpm === null ? {} : { heartRateBpm }),
  })
  return encodeWindow(frame, encoding)
}

type Draw = typeof device extends fc.Arbitrary<infer T> ? T : never

describe('a window from a device', () => {
  it('becomes the same message through the adapter and through AWS IoT Core', () => {
    fc.assert(
      fc.property(device, (draw) => {
        const payload = payloadOf(draw)

        const message = throughIot(TOPIC, payload)

        expect(message).toEqual(throughAdapter(TOPIC, payload))
        if (draw.length >= RATE_HZ) expect(message).toMatchObject({ tenant: 'clinic', ecgId: expect.any(String) })
      }),
      { numRuns: 60 },
    )
  })

  it('is refused by both with the same code when it is damaged', () => {
    const damaged = fc.tuple(device, fc.nat(2000), fc.nat(255), fc.boolean()).map(([draw, at, byte, isCut]) => {
      const payload = payloadOf({ ...draw, length: 100 })
      if (isCut) return payload.subarray(0, at % payload.length)
      payload[at % payload.length] = byte
      return payload
    })

    fc.assert(
      fc.property(damaged, (payload) => {
        expect(throughIot(TOPIC, payload)).toEqual(throughAdapter(TOPIC, payload))
      }),
      { numRuns: 100 },
    )
  })

  it.each(['ecg/v1/clinic/d1/frames', 'ecg/v1/clinic/window', 'ecg/v1/cli nic/d1/window', 'x'])(
    'is refused on the topic %s',
    (topic) => {
      const payload = encodeWindow(makeFrame({ length: 5000 }))

      expect(() => readDeviceWindow(topic, payload, NOW)).toThrow('topic-invalid')
    },
  )

  it('is dropped when it is shorter than a second, as in the adapter', () => {
    const payload = encodeWindow(makeFrame({ length: 499 }))

    expect(readDeviceWindow(TOPIC, payload, NOW)).toBeUndefined()
  })
})
