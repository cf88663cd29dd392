/**
 * A whole recording as the gateway stores it: int16, packed, with an id from its content, so that the same ECG through two doors is one
 * ECG.
 * @module
 */
import { createHash } from 'node:crypto'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import { MISSING_FRAME_SAMPLE } from '../../shared/domain/frame.ts'
import { MISSING_SAMPLE, type Recording, sampleCount } from '../../shared/domain/recording.ts'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { Name } from '../../shared/messages.ts'
import { encodeWaveform, splitWaveform, waveformSha256 } from '../../shared/waveform/codec.ts'
import { fromWire } from '../../shared/waveform/wire-samples.ts'
import { toWire } from '../mqtt/wire-recording.ts'
import type { About, Door, Envelope, NewEcg } from './stored-ecg.ts'

export interface Received {
  readonly tenant: string
  readonly door: Door
  readonly recording: Recording
  /** The device that recorded it, if it is stated. */
  readonly device: string | undefined
  readonly about: About
  readonly warnings: readonly ResultWarning[]
}

/** Prepares a recording for the store. The same content gives the same id, here and when it is uploaded to the API. */
export function ecgOf({ tenant, door, recording, device, about, warnings }: Received): NewEcg {
  const { rateHz, startedAt, heartRateBpm, person } = recording
  const waveform = canonical(recording)
  const all = [...(recording.warnings ?? []), ...warnings]
  const known = Name.safeParse(device ?? recording.device).data
  const base: Omit<Envelope, 'ecgId'> = {
    schema: 1,
    tenant,
    origin: { kind: 'upload', ...(known === undefined ? {} : { device: known }) },
    span: { startedAt: startedAt ?? null, firstSample: 0, durationMs: (1000 * sampleCount(recording)) / rateHz },
    ...(person === undefined ? {} : { person }),
    ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
    ...(all.length === 0 ? {} : { warnings: all }),
  }
  const sha256 = createHash('sha256').update(uploadBody(base, waveform)).digest('hex')
  return {
    door,
    envelope: { ...base, ecgId: fileEcgId({ tenant, sha256 }) },
    packed: encodeWaveform(waveform),
    waveformSha256: waveformSha256(waveform),
    about,
  }
}

/** Converts to int16, the transmitted form; only larger values are coarsened. */
function canonical(recording: Recording): Waveform {
  const { leads, rows } = toWire(recording)
  return {
    rateHz: recording.rateHz,
    leads: leads.map(({ name, gainUv }, index) => ({
      name,
      gainUv,
      samples: fromWire(rows[index]!),
    })),
  }
}

/** The body of `POST /v1/ecgs` (format `json`): the same bytes for the same ECG. */
export function uploadBody(
  { span, heartRateBpm, person }: Omit<Envelope, 'ecgId'>,
  { rateHz, leads }: Waveform,
): Buffer {
  const length = leads[0]!.samples.length
  const samples = new Int16Array(leads.length * length)
  for (const [index, lead] of leads.entries()) {
    for (let i = 0; i < length; i++) {
      const sample = lead.samples[i]!
      samples[index * length + i] = sample === MISSING_SAMPLE ? MISSING_FRAME_SAMPLE : sample
    }
  }
  return Buffer.from(
    JSON.stringify({
      rateHz,
      leads: leads.map(({ name, gainUv }) => ({ name, gainUv })),
      samples: Buffer.from(samples.buffer).toString('base64'),
      ...besideSamples(span, heartRateBpm, person),
    }),
  )
}

/**
 * The same body with the samples as they are packed in the store, at a third of the size. For live windows only: their ID is the position
 * in the session, so the bytes may differ between requests.
 */
export function packedBody({ span, heartRateBpm, person }: Omit<Envelope, 'ecgId'>, waveform: Uint8Array): string {
  const { header, packed } = splitWaveform(waveform)
  return JSON.stringify({
    rateHz: header.rateHz,
    leads: header.leads.map(([name, gainUv]) => ({ name, gainUv })),
    packed: packed.toString('base64'),
    packedCount: header.samples,
    ...besideSamples(span, heartRateBpm, person),
  })
}

function besideSamples(
  { startedAt }: Envelope['span'],
  heartRateBpm: Envelope['heartRateBpm'],
  person: Envelope['person'],
) {
  const startMs = startedAt === null ? -1 : Date.parse(startedAt)
  return {
    ...(startMs >= 0 ? { sessionStartedAtMs: startMs } : {}),
    ...(heartRateBpm === undefined ? {} : { heartRateBpm }),
    ...(person === undefined ? {} : { person }),
  }
}
