import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Frame, MISSING_FRAME_SAMPLE } from '../../../shared/domain/frame.ts'
import { LEADS } from '../../../shared/domain/leads.ts'
import { CodedError } from '../../../shared/errors.ts'
import { decodeFrame, decodeWindow, encodeFrame, MAX_PAYLOAD_BYTES } from '../../../streams/mqtt/frame-codec.ts'
import { makeFrame, NOW } from './helpers/factories.ts'

const json = (fields: object) => {
  const { samples, ...frame } = makeFrame()
  return Buffer.from(JSON.stringify({ ...frame, samples: [...samples], ...fields }))
}
const protobuf = (fields: Partial<Frame>) => encodeFrame(makeFrame(fields))
const leads = (...names: readonly string[]) => names.map((name) => ({ name, gainUv: 2.5 }))

describe('decodeFrame', () => {
  it.each(['protobuf', 'json'] as const)('decodes %s, recognized by its first byte', (encoding) => {
    const frame = makeFrame({ sequence: 7, heartRateBpm: 71.5, isLast: true })

    const decoded = decodeFrame(encodeFrame(frame, encoding), undefined, NOW)

    expect(decoded).toEqual(frame)
  })

  it('reads samples given as numbers, with null for a missing one', () => {
    const samples = [null, ...Array.from({ length: 499 }, (_, value) => value)]

    const decoded = decodeFrame(json({ samples }), 'application/json; charset=utf-8', NOW)

    expect(decoded.samples.slice(0, 3)).toEqual(Int16Array.of(MISSING_FRAME_SAMPLE, 0, 1))
  })

  it('finds leads by name in any order and case', () => {
    const decoded = decodeFrame(json({ leads: leads('avr', 'Lead V3') }), undefined, NOW)

    expect(decoded.leads.map(({ name }) => name)).toEqual(['aVR', 'V3'])
  })

  it('reads 64-bit numbers as strings, as in protobuf’s JSON mapping', () => {
    const decoded = decodeFrame(json({ firstSample: '250', sessionStartedAtMs: String(NOW) }), undefined, NOW)

    expect(decoded).toMatchObject({ firstSample: 250, sessionStartedAtMs: NOW })
  })

  const samples = (length: number) => ({ samples: new Int16Array(length) })

  it.each<readonly [string, Buffer, string | undefined, string, string]>([
    ['an empty payload', Buffer.alloc(0), undefined, 'payload-empty', 'payload'],
    ['more than the limit', Buffer.alloc(MAX_PAYLOAD_BYTES + 1), undefined, 'payload-too-large', 'payload'],
    ['bytes that are not protobuf', Buffer.from([0xff, 0xff, 0xff]), undefined, 'payload-malformed', 'payload'],
    ['truncated protobuf', protobuf({}).subarray(0, 40), undefined, 'payload-malformed', 'payload'],
    ['another protobuf message', Buffer.from([0x10, 0x05]), undefined, 'field-invalid', 'session'],
    ['text that is not JSON', Buffer.from('{"session":'), undefined, 'payload-malformed', 'payload'],
    ['NaN in JSON', Buffer.from('{"rateHz":NaN}'), 'application/json', 'payload-malformed', 'payload'],
    ['JSON that is not an object', Buffer.from('[1]'), 'application/json', 'payload-malformed', 'payload'],
    ['JSON that is not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), undefined, 'payload-malformed', 'payload'],
    ['protobuf labelled as JSON', protobuf({}), 'application/json', 'payload-malformed', 'payload'],
    ['an unknown content type', protobuf({}), 'image/png', 'format-unsupported', 'contentType'],
    ['an invalid session name', json({ session: 'a/b' }), undefined, 'field-invalid', 'session'],
    ['an unknown lead', json({ leads: leads('I', 'V7') }), undefined, 'lead-unknown', 'leads[1].name'],
    ['a lead without a name', json({ leads: [{ gainUv: 1 }, {}] }), undefined, 'lead-unknown', 'leads[0].name'],
    ['a lead named twice', json({ leads: leads('II', 'ii') }), undefined, 'lead-duplicate', 'leads[1].name'],
    ['a frame without leads', protobuf({ leads: [] }), undefined, 'lead-missing', 'leads'],
    [
      'a gain in millivolts',
      protobuf({ leads: [{ name: 'I', gainUv: 0.0025 }] }),
      undefined,
      'gain-invalid',
      'leads[0].gainUv',
    ],
    [
      'a gain in nanovolts',
      protobuf({ leads: [{ name: 'I', gainUv: 2500 }] }),
      undefined,
      'gain-invalid',
      'leads[0].gainUv',
    ],
    ['a gain of NaN', protobuf({ leads: [{ name: 'I', gainUv: NaN }] }), undefined, 'gain-invalid', 'leads[0].gainUv'],
    ['a text as gain', json({ leads: [{ name: 'I', gainUv: '2.5' }] }), undefined, 'gain-invalid', 'leads[0].gainUv'],
    ['a rate of NaN', protobuf({ rateHz: NaN }), undefined, 'rate-unsupported', 'rateHz'],
    ['a rate of 99 Hz', protobuf({ rateHz: 99 }), undefined, 'rate-unsupported', 'rateHz'],
    ['a rate of 2001 Hz', protobuf({ rateHz: 2001 }), undefined, 'rate-unsupported', 'rateHz'],
    ['a heart rate of NaN', protobuf({ heartRateBpm: NaN }), undefined, 'field-invalid', 'heartRateBpm'],
    ['a heart rate of zero', protobuf({ heartRateBpm: 0 }), undefined, 'field-invalid', 'heartRateBpm'],
    ['a frame without samples', protobuf(samples(0)), undefined, 'payload-empty', 'samples'],
    ['too few samples for the leads', protobuf(samples(501)), undefined, 'samples-uneven', 'samples'],
    ['half a sample', json({ samples: 'AAAA' }), undefined, 'samples-uneven', 'samples'],
    ['samples that are not base64', json({ samples: '!!!' }), undefined, 'sample-invalid', 'samples'],
    ['a sample beyond int16', json({ samples: [1, 40_000] }), undefined, 'sample-invalid', 'samples[1]'],
    ['a sample that is not an integer', json({ samples: [0.5] }), undefined, 'sample-invalid', 'samples[0]'],
    ['a frame shorter than 0.2 s', protobuf(samples(2 * 99)), undefined, 'field-invalid', 'samples'],
    ['a frame longer than 2 s', protobuf(samples(2 * 1001)), undefined, 'field-invalid', 'samples'],
    ['a negative sequence number', json({ sequence: -1 }), undefined, 'sequence-invalid', 'sequence'],
    ['a first sample that is not an integer', json({ firstSample: 1.5 }), undefined, 'sequence-invalid', 'firstSample'],
    [
      'a first sample more than a year into the session',
      protobuf({ firstSample: Number.MAX_SAFE_INTEGER }),
      undefined,
      'clock-invalid',
      'firstSample',
    ],
    [
      'a clock that was never set',
      protobuf({ sessionStartedAtMs: 0 }),
      undefined,
      'clock-invalid',
      'sessionStartedAtMs',
    ],
    [
      'a clock in seconds',
      protobuf({ sessionStartedAtMs: NOW / 1000 }),
      undefined,
      'clock-invalid',
      'sessionStartedAtMs',
    ],
    [
      'a clock an hour ahead',
      protobuf({ sessionStartedAtMs: NOW + 3_600_000 }),
      undefined,
      'clock-invalid',
      'sessionStartedAtMs',
    ],
    ['an end that is not a boolean', json({ isLast: 'yes' }), undefined, 'field-invalid', 'isLast'],
  ])('refuses %s', (_, payload, contentType, code, field) => {
    expect(() => decodeFrame(payload, contentType, NOW)).toThrow(
      expect.objectContaining({ code, detail: expect.objectContaining({ field }) }),
    )
  })

  it('returns a frame or a coded error for hostile bytes', () => {
    const good = encodeFrame(makeFrame({ length: 100 }))

    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), (at, value, truncate) => {
        const bytes = Buffer.from(truncate ? good.subarray(0, at) : good)
        if (!truncate) bytes[at] = value

        try {
          decodeFrame(bytes, undefined, NOW)
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError)
        }
      }),
    )
  })

  it('accepts a short last frame', () => {
    const frame = makeFrame({ length: 1, isLast: true })

    expect(decodeFrame(encodeFrame(frame), undefined, NOW)).toEqual(frame)
  })
})

describe('decodeWindow', () => {
  const window = (fields: object = {}) => {
    const samples = Buffer.alloc(LEADS.length * 5000 * 2).toString('base64')
    const all = { session: 's1', sessionStartedAtMs: NOW, rateHz: 500, leads: leads(...LEADS), samples, ...fields }
    return Buffer.from(JSON.stringify(all))
  }

  it('returns a frame of 10 s, numbered by its position', () => {
    const decoded = decodeWindow(window({ firstSample: 15_000 }), undefined, NOW)

    expect(decoded).toMatchObject({ sequence: 3, firstSample: 15_000, isLast: false })
  })

  it('ends the session after a short window', () => {
    const samples = Buffer.alloc(LEADS.length * 2000 * 2).toString('base64')

    expect(decodeWindow(window({ samples }), undefined, NOW).isLast).toBe(true)
  })

  it.each([
    ['starts between two windows', { firstSample: 100 }, 'firstSample'],
    ['is longer than 10 s', { samples: Buffer.alloc(LEADS.length * 5001 * 2).toString('base64') }, 'samples'],
  ])('refuses a window that %s', (_, fields, field) => {
    expect(() => decodeWindow(window(fields), undefined, NOW)).toThrow(
      expect.objectContaining({ code: 'field-invalid', detail: expect.objectContaining({ field }) }),
    )
  })
})
