/**
 * Encoding of frames and windows in MQTT: protobuf (`ecg.proto`) or JSON of the same form, validated field by field.
 * @module
 */
import { readFileSync } from 'node:fs'
import protobuf from 'protobufjs'
import { FRAME_RANGE_S, type Frame, type FrameLead } from '../../shared/domain/frame.ts'
import { LEADS, leadByName } from '../../shared/domain/leads.ts'
import { RATE_RANGE_HZ } from '../../shared/domain/recording.ts'
import { windowSamples } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'
import { packSamples, unpackSamples } from '../../shared/waveform/codec.ts'
import { samplesOfWire } from '../../shared/waveform/wire-samples.ts'

/** Twelve leads of 10 s at 500 Hz take 120 KB; AWS IoT Core's limit is 128 KB. */
export const MAX_PAYLOAD_BYTES = 256 * 1024

/** Plausible microvolts per step. Values outside are of another unit: mV (0.001 to 0.01) or nV (1000 and more). */
export const GAIN_RANGE_UV = { min: 0.01, max: 100 } as const

/** Most that a device's clock may be ahead of ours. */
export const MAX_CLOCK_AHEAD_MS = 5 * 60_000

/** 2000-01-01: an earlier start comes from a clock that was never set, or from seconds instead of milliseconds. */
const EARLIEST_START_MS = 946_684_800_000

/** Longest session, a year. Beyond it a sample index is a counter error, and in the end not a valid date. */
const MAX_SESSION_S = 366 * 24 * 3600

export const CONTENT_TYPES = { protobuf: 'application/x-protobuf', json: 'application/json' } as const

export type Encoding = keyof typeof CONTENT_TYPES

/** Encodings that a device may use: `packed` is protobuf with losslessly packed samples. */
export type FrameEncoding = Encoding | 'packed'

/** Content type of an encoding. */
export const contentTypeOf = (encoding: FrameEncoding): string =>
  CONTENT_TYPES[encoding === 'json' ? 'json' : 'protobuf']

const proto = protobuf.parse(readFileSync(new URL('./ecg.proto', import.meta.url), 'utf8')).root
const FrameType = proto.lookupType('cardiacnets.ecg.v1.Frame')
const WindowType = proto.lookupType('cardiacnets.ecg.v1.Window')

/** Encodes a frame. */
export function encodeFrame(frame: Frame, encoding: FrameEncoding = 'protobuf'): Buffer {
  return encode(FrameType, frame, encoding)
}

/** Encodes ten seconds, or a session's last window. */
export function encodeWindow(window: Omit<Frame, 'sequence' | 'isLast'>, encoding: FrameEncoding = 'protobuf'): Buffer {
  return encode(WindowType, window, encoding)
}

function encode(type: protobuf.Type, message: Pick<Frame, 'samples' | 'leads'>, encoding: FrameEncoding): Buffer {
  if (encoding === 'packed') {
    const { samples: plain, leads, ...rest } = message
    const count = plain.length / leads.length
    const packed = packSamples({
      leads: leads.map((lead, i) => ({
        ...lead,
        samples: new Int32Array(plain.subarray(i * count, (i + 1) * count)),
      })),
    })
    return finish(type, { ...rest, leads, packed, packedCount: count })
  }
  const samples = Buffer.from(message.samples.buffer, message.samples.byteOffset, message.samples.byteLength)
  if (encoding === 'json') return Buffer.from(JSON.stringify({ ...message, samples: samples.toString('base64') }))
  return finish(type, { ...message, samples })
}

function finish(type: protobuf.Type, message: object): Buffer {
  const bytes = type.encode(type.create({ ...message })).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}

/**
 * Decodes and validates a payload of `…/frames`.
 * @param contentType MQTT 5 content type; without one, JSON is recognised by its first byte `{`, with which no protobuf frame starts
 * @param nowMs the adapter's clock, against which the device's is checked
 * @throws CodedError naming the field: `payload-empty`, `payload-too-large`, `payload-malformed`, `format-unsupported`, `field-invalid`,
 * `lead-unknown`, `lead-duplicate`, `lead-missing`, `gain-invalid`, `rate-unsupported`, `sample-invalid`, `samples-uneven`,
 * `sequence-invalid`, `clock-invalid`
 */
export function decodeFrame(payload: Uint8Array, contentType: string | undefined, nowMs: number): Frame {
  const wire = readWire(payload, contentType, FrameType)
  const frame = {
    ...checkSignal(wire, nowMs),
    sequence: integer(wire.sequence ?? 0, 'sequence', 'sequence-invalid'),
    isLast: boolean(wire.isLast ?? false, 'isLast'),
  }
  const seconds = frame.samples.length / frame.leads.length / frame.rateHz
  const tooShort = seconds < FRAME_RANGE_S.min && !frame.isLast
  if (tooShort || seconds > FRAME_RANGE_S.max) throw new CodedError('field-invalid', { field: 'samples', ...SECONDS })
  return frame
}

const SECONDS = { minSeconds: FRAME_RANGE_S.min, maxSeconds: FRAME_RANGE_S.max }

/**
 * Decodes and validates a payload of `…/window`, as one long frame. Its sequence number is its position among the session's windows, and a
 * window shorter than 10 s is the last.
 * @throws CodedError those of `decodeFrame`
 */
export function decodeWindow(payload: Uint8Array, contentType: string | undefined, nowMs: number): Frame {
  const signal = checkSignal(readWire(payload, contentType, WindowType), nowMs)
  const whole = windowSamples(signal.rateHz)
  const samples = signal.samples.length / signal.leads.length
  if (signal.firstSample % whole !== 0)
    throw new CodedError('field-invalid', { field: 'firstSample', multipleOf: whole })
  if (samples > whole) throw new CodedError('field-invalid', { field: 'samples', max: whole })
  return { ...signal, sequence: signal.firstSample / whole, isLast: samples < whole }
}

/** Fields as they were sent, not validated. */
type Wire = Readonly<Record<string, unknown>>

function readWire(payload: Uint8Array, contentType: string | undefined, type: protobuf.Type): Wire {
  if (payload.length === 0) throw new CodedError('payload-empty', { field: 'payload' })
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new CodedError('payload-too-large', { field: 'payload', maxBytes: MAX_PAYLOAD_BYTES })
  }
  try {
    if (encodingOf(payload, contentType) === 'protobuf') {
      // The decoded message has every field by name, with the default of a field that was not sent.
      const decoded: object = type.decode(payload)
      return decoded as Wire // by the names of its fields
    }
    const json: unknown = JSON.parse(textOf(payload))
    if (!isObject(json)) throw new Error('no object')
    return json
  } catch (error) {
    if (error instanceof CodedError) throw error
    // Without a cause, because a parser's message quotes its input.
    throw new CodedError('payload-malformed', { field: 'payload' })
  }
}

/** Removes a byte order mark at the start and zeros at the end, as in C strings. */
function textOf(payload: Uint8Array): string {
  let end = payload.length
  while (end > 0 && payload[end - 1] === 0) end--
  return new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(0, end))
}

function encodingOf(payload: Uint8Array, contentType: string | undefined): Encoding {
  if (contentType === undefined || contentType === '') return startsJson(payload) ? 'json' : 'protobuf'
  const mediaType = contentType.split(';')[0]!.trim().toLowerCase()
  if (mediaType === CONTENT_TYPES.json) return 'json'
  if (mediaType === CONTENT_TYPES.protobuf || mediaType === 'application/protobuf') return 'protobuf'
  throw new CodedError('format-unsupported', { field: 'contentType' })
}

/** Starts with `{` after a byte order mark and blanks; a protobuf frame starts with the tag of a field. */
const startsJson = (payload: Uint8Array) =>
  /^(?:\u00ef\u00bb\u00bf)?[ \t\r\n]*\{/.test(Buffer.from(payload.subarray(0, 64)).toString('latin1'))

/** Validates the common fields of frames and windows. */
function checkSignal(wire: Wire, nowMs: number): Omit<Frame, 'sequence' | 'isLast'> {
  const session = Name.safeParse(wire.session)
  if (!session.success) throw new CodedError('field-invalid', { field: 'session' })
  const rateHz = number(wire.rateHz, 'rateHz', 'rate-unsupported')
  if (rateHz < RATE_RANGE_HZ.min || rateHz > RATE_RANGE_HZ.max) {
    throw new CodedError('rate-unsupported', { field: 'rateHz', ...RATE_RANGE_HZ })
  }
  const leads = checkLeads(wire.leads)
  const firstSample = integer(wire.firstSample ?? 0, 'firstSample', 'sequence-invalid')
  if (firstSample > MAX_SESSION_S * rateHz) {
    throw new CodedError('clock-invalid', { field: 'firstSample', maxSeconds: MAX_SESSION_S })
  }
  return {
    session: session.data,
    firstSample,
    sessionStartedAtMs: checkClock(wire.sessionStartedAtMs, nowMs),
    rateHz,
    leads,
    samples: isPacked(wire) ? checkPacked(wire, leads) : checkSamples(wire.samples, leads.length),
    ...checkHeartRate(wire),
  }
}

function checkLeads(wire: unknown): readonly FrameLead[] {
  if (!Array.isArray(wire) || wire.length === 0) throw new CodedError('lead-missing', { field: 'leads' })
  const leads: FrameLead[] = []
  for (const [index, lead] of wire.entries()) {
    const field = `leads[${index}]`
    if (!isObject(lead) || typeof lead.name !== 'string')
      throw new CodedError('lead-unknown', { field: `${field}.name` })
    const name = leadByName(lead.name, `${field}.name`)
    if (leads.some((other) => other.name === name)) throw new CodedError('lead-duplicate', { field: `${field}.name` })
    const gainUv = number(lead.gainUv, `${field}.gainUv`, 'gain-invalid')
    if (gainUv < GAIN_RANGE_UV.min || gainUv > GAIN_RANGE_UV.max) {
      throw new CodedError('gain-invalid', { field: `${field}.gainUv`, ...GAIN_RANGE_UV })
    }
    leads.push({ name, gainUv })
    if (leads.length > LEADS.length) throw new CodedError('lead-duplicate', { field: 'leads' })
  }
  return leads
}

function checkClock(wire: unknown, nowMs: number): number {
  const startedAtMs = integer(wire, 'sessionStartedAtMs', 'clock-invalid')
  if (startedAtMs < EARLIEST_START_MS || startedAtMs > nowMs + MAX_CLOCK_AHEAD_MS) {
    throw new CodedError('clock-invalid', { field: 'sessionStartedAtMs' })
  }
  return startedAtMs
}

function checkHeartRate({ heartRateBpm }: Wire): { heartRateBpm?: number } {
  // A protobufjs message has the default when nothing was sent; an own property distinguishes the two.
  if (heartRateBpm === undefined || heartRateBpm === null) return {}
  const bpm = number(heartRateBpm, 'heartRateBpm', 'field-invalid')
  if (bpm <= 0 || bpm > 500) throw new CodedError('field-invalid', { field: 'heartRateBpm', min: 0, max: 500 })
  return { heartRateBpm: bpm }
}

/** A protobufjs message has empty bytes when nothing was sent. */
function isPacked({ packed }: Wire): boolean {
  return (packed instanceof Uint8Array || typeof packed === 'string') && packed.length > 0
}

/** Samples per lead of a window at the highest rate; the limit, whatever the sender states. */
const MAX_PACKED_COUNT = windowSamples(RATE_RANGE_HZ.max)

function checkPacked(wire: Wire, leads: readonly FrameLead[]): Int16Array {
  const plain: unknown = wire.samples
  const isBoth = (plain instanceof Uint8Array || typeof plain === 'string' || Array.isArray(plain)) && plain.length > 0
  if (isBoth) throw new CodedError('field-invalid', { field: 'packed' })
  const count = integer(wire.packedCount ?? 0, 'packedCount', 'field-invalid')
  if (count === 0) throw new CodedError('payload-empty', { field: 'packedCount' })
  if (count > MAX_PACKED_COUNT) throw new CodedError('field-invalid', { field: 'packedCount', max: MAX_PACKED_COUNT })
  const packed = typeof wire.packed === 'string' ? Buffer.from(wire.packed, 'base64') : (wire.packed as Uint8Array) // see isPacked
  const samples = new Int16Array(leads.length * count)
  for (const [index, lead] of unpacked(leads, count, packed).entries()) {
    for (let i = 0; i < count; i++) {
      const sample = lead.samples[i]!
      if (sample < -0x8000 || sample > 0x7fff) throw new CodedError('sample-invalid', { field: 'packed' })
      samples[index * count + i] = sample
    }
  }
  return samples
}

function unpacked(leads: readonly FrameLead[], count: number, packed: Uint8Array) {
  try {
    return unpackSamples(leads, count, packed)
  } catch {
    // Without a cause, because it may quote the input.
    throw new CodedError('payload-malformed', { field: 'packed' })
  }
}

function checkSamples(wire: unknown, leads: number): Int16Array {
  const samples = samplesOfWire(wire)
  if (samples.length === 0) throw new CodedError('payload-empty', { field: 'samples' })
  if (samples.length % leads !== 0) throw new CodedError('samples-uneven', { field: 'samples', leads })
  return samples
}

type FieldCode = 'field-invalid' | 'gain-invalid' | 'rate-unsupported' | 'sequence-invalid' | 'clock-invalid'

function number(value: unknown, field: string, code: FieldCode): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new CodedError(code, { field })
  return value
}

/** A non-negative integer; 64-bit ones are `Long` objects in protobufjs and strings in protobuf's JSON mapping. */
function integer(value: unknown, field: string, code: FieldCode): number {
  const isLong = isObject(value) && 'low' in value && 'high' in value
  const plain = isLong || (typeof value === 'string' && /^\d+$/.test(value)) ? Number(value) : value
  if (typeof plain !== 'number' || !Number.isSafeInteger(plain) || plain < 0) throw new CodedError(code, { field })
  return plain
}

function boolean(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new CodedError('field-invalid', { field })
  return value
}

function isObject(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
