/**
 * Our own shape: `{rateHz, leads: [{name, gainUv}, …], samples, sessionStartedAtMs?, firstSample?, heartRateBpm?, person?}`, where `samples` are
 * int16 lead after lead, in base64 or as an array with null for a missing one.
 * @module
 */
import * as z from 'zod'
import { MISSING_FRAME_SAMPLE } from '../../../shared/domain/frame.ts'
import { leadByName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import { samplesOfWire } from '../../../shared/waveform/wire-samples.ts'
import { plausiblePerson, sexOfText } from '../person.ts'

const WindowFile = z.object({
  rateHz: z.number(),
  leads: z.array(z.object({ name: z.string(), gainUv: z.number() })).nonempty(),
  samples: z.unknown(),
  /** When the session's sample 0 was taken; a date that JavaScript has. */
  sessionStartedAtMs: z.int().min(0).max(7_258_118_400_000).optional(),
  firstSample: z.int().min(0).optional(),
  heartRateBpm: z.number().positive().max(500).optional(),
  person: z
    .object({ sex: z.string(), ageYears: z.number(), heightCm: z.number(), weightKg: z.number() })
    .partial()
    .optional(),
})

/** @throws CodedError `field-invalid`, `lead-unknown`, `sample-invalid`, `samples-uneven`, and those of `checkRecording` */
export function parseWindow(document: unknown): Recording {
  const { data, error } = WindowFile.safeParse(document)
  if (data === undefined) throw new CodedError('field-invalid', { field: error.issues[0]!.path.join('.') || 'file' })
  const { rateHz, leads, firstSample = 0, sessionStartedAtMs, heartRateBpm, person } = data
  if (Array.isArray(data.samples)) checkDuration(data.samples.length / leads.length, rateHz, 'samples')
  const samples = samplesOfWire(data.samples)
  if (samples.length % leads.length !== 0) throw new CodedError('samples-uneven', { field: 'samples' })
  const count = samples.length / leads.length
  const recording = checkRecording({
    format: 'json',
    rateHz,
    leads: leads.map(({ name, gainUv }, index) => ({
      name: leadByName(name, `leads.${index}.name`),
      gainUv,
      samples: Int32Array.from(samples.subarray(index * count, (index + 1) * count), (sample) =>
        sample === MISSING_FRAME_SAMPLE ? MISSING_SAMPLE : sample,
      ),
    })),
    heartRateBpm,
    person: plausiblePerson({ ...person, sex: sexOfText(person?.sex) }),
  })
  if (sessionStartedAtMs === undefined) return recording
  const startedAt = new Date(sessionStartedAtMs + (1000 * firstSample) / rateHz)
  if (Number.isNaN(startedAt.getTime())) throw new CodedError('clock-invalid', { field: 'firstSample' })
  return { ...recording, startedAt: startedAt.toISOString() }
}
