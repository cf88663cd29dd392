/**
 * Our own form: `{rateHz, leads: [{name, gainUv}, …], samples, sessionStartedAtMs?, firstSample?, heartRateBpm?, person?}`. `samples` are
 * int16, lead after lead, in base64 or as an array with null for a missing sample.
 * @module
 */
import * as z from 'zod'
import { MISSING_FRAME_SAMPLE } from '../../../shared/domain/frame.ts'
import { findLead } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { samplesOfWire } from '../../../shared/waveform/wire-samples.ts'
import { leadsAmong, said, warnUnused } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { plausiblePerson, sexOfText } from '../person.ts'

const WindowFile = z.object({
  rateHz: z.number().optional(),
  leads: z.array(z.object({ name: z.string(), gainUv: z.number() })).nonempty(),
  samples: z.unknown(),
  /** Time of the session's sample 0; within JavaScript's range of dates. */
  sessionStartedAtMs: z.int().min(0).max(7_258_118_400_000).optional(),
  firstSample: z.int().min(0).optional(),
  heartRateBpm: z.number().positive().max(500).optional(),
  person: z
    .object({ sex: z.string(), ageYears: z.number(), heightCm: z.number(), weightKg: z.number() })
    .partial()
    .optional(),
})

/** @throws CodedError `field-invalid`, `lead-unknown`, `sample-invalid`, `samples-uneven`, and those of `checkRecording` */
export function parseWindow(document: unknown, options: ReadOptions = {}): Recording {
  const { data, error } = WindowFile.safeParse(document)
  if (data === undefined) throw new CodedError('field-invalid', { field: error.issues[0]!.path.join('.') || 'file' })
  const { leads, firstSample = 0, sessionStartedAtMs, heartRateBpm, person } = data
  const rateHz = options.rateHz ?? data.rateHz
  if (rateHz === undefined) throw new CodedError('field-invalid', { field: 'rateHz' })
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit'], warnings)
  if (Array.isArray(data.samples)) checkDuration(data.samples.length / leads.length, rateHz, 'samples')
  const samples = samplesOfWire(data.samples)
  if (samples.length % leads.length !== 0) throw new CodedError('samples-uneven', { field: 'samples' })
  const count = samples.length / leads.length
  const channels = leads.map(({ name, gainUv }, index) => ({ label: name, lead: findLead(name), gainUv, index }))
  const recording = checkRecording({
    format: 'json',
    rateHz,
    leads: leadsAmong(channels, (channel) => channel, options, 'leads', warnings).map(({ name, channel }) => ({
      name,
      gainUv: channel.gainUv,
      samples: Int32Array.from(samples.subarray(channel.index * count, (channel.index + 1) * count), (sample) =>
        sample === MISSING_FRAME_SAMPLE ? MISSING_SAMPLE : sample,
      ),
    })),
    heartRateBpm,
    person: plausiblePerson({ ...person, sex: sexOfText(person?.sex) }),
    ...said(warnings),
  })
  if (sessionStartedAtMs === undefined) return recording
  const startedAt = new Date(sessionStartedAtMs + (1000 * firstSample) / rateHz)
  if (Number.isNaN(startedAt.getTime())) throw new CodedError('clock-invalid', { field: 'firstSample' })
  return { ...recording, startedAt: startedAt.toISOString() }
}
