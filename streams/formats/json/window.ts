/**
 * Our own form: `{rateHz, leads: [{name, gainUv}, …], samples, sessionStartedAtMs?, firstSample?, heartRateBpm?, person?}`. `samples` are
 * int16, lead after lead, in base64 or as an array with null for a missing sample. Instead of `samples`, it may contain `packed` (base64)
 * and `packedCount`, as in frames.
 * @module
 */
import * as z from 'zod'
import { findLead } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, RATE_RANGE_HZ, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { windowSamples } from '../../../shared/domain/window.ts'
import { CodedError } from '../../../shared/errors.ts'
import { unpackSamples } from '../../../shared/waveform/codec.ts'
import { fromWire, samplesOfWire } from '../../../shared/waveform/wire-samples.ts'
import { leadsAmong, said, warnUnused } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { plausiblePerson, sexOfText } from '../person.ts'

const WindowFile = z.object({
  rateHz: z.number().optional(),
  leads: z.array(z.object({ name: z.string(), gainUv: z.number() })).nonempty(),
  samples: z.unknown().optional(),
  /** Output of `packSamples`, in base64. */
  packed: z.base64().optional(),
  /** Samples per lead in `packed`. */
  packedCount: z.int().positive().optional(),
  /** Time of the session's sample 0; within JavaScript's range of dates. */
  sessionStartedAtMs: z.int().min(0).max(7_258_118_400_000).optional(),
  firstSample: z.int().min(0).optional(),
  heartRateBpm: z.number().positive().max(500).optional(),
  person: z
    .object({ sex: z.string(), ageYears: z.number(), heightCm: z.number(), weightKg: z.number() })
    .partial()
    .optional(),
})

/** Fields by which a file is recognised; a person may be in any file. */
export const WINDOW_FIELDS: readonly string[] = Object.keys(WindowFile.omit({ person: true }).shape)

/** Samples per lead of a window at the highest rate; the limit whatever the sender states, because packed zeros take almost no space. */
const MAX_PACKED_COUNT = windowSamples(RATE_RANGE_HZ.max)

/** @throws CodedError `field-invalid`, `lead-unknown`, `sample-invalid`, `samples-uneven`, and those of `checkRecording` */
export function parseWindow(document: unknown, options: ReadOptions = {}): Recording {
  const { data, error } = WindowFile.safeParse(document)
  if (data === undefined) throw new CodedError('field-invalid', { field: error.issues[0]!.path.join('.') || 'file' })
  const { leads, firstSample = 0, sessionStartedAtMs, heartRateBpm, person } = data
  const rateHz = options.rateHz ?? data.rateHz
  if (rateHz === undefined) throw new CodedError('field-invalid', { field: 'rateHz' })
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit'], warnings)
  const rows = data.packed === undefined ? plainRows(data.samples, leads.length, rateHz) : packedRows(data)
  const channels = leads.map(({ name, gainUv }, index) => ({ label: name, lead: findLead(name), gainUv, index }))
  const recording = checkRecording({
    format: 'json',
    rateHz,
    leads: leadsAmong(channels, (channel) => channel, options, 'leads', warnings).map(({ name, channel }) => ({
      name,
      gainUv: channel.gainUv,
      samples: rows[channel.index]!,
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

/** Samples per lead. */
function plainRows(wire: unknown, leads: number, rateHz: number): readonly Int32Array[] {
  if (wire === undefined) throw new CodedError('field-invalid', { field: 'samples' })
  if (Array.isArray(wire)) checkDuration(wire.length / leads, rateHz, 'samples')
  const samples = samplesOfWire(wire)
  if (samples.length % leads !== 0) throw new CodedError('samples-uneven', { field: 'samples' })
  const count = samples.length / leads
  return Array.from({ length: leads }, (_, index) => fromWire(samples.subarray(index * count, (index + 1) * count)))
}

function packedRows({ samples, packed, packedCount = 0, leads }: z.infer<typeof WindowFile>): readonly Int32Array[] {
  if (samples !== undefined) throw new CodedError('field-invalid', { field: 'packed' })
  if (packedCount === 0) throw new CodedError('payload-empty', { field: 'packedCount' })
  if (packedCount > MAX_PACKED_COUNT) {
    throw new CodedError('field-invalid', { field: 'packedCount', max: MAX_PACKED_COUNT })
  }
  const of = leads.map(({ name, gainUv }) => {
    const lead = findLead(name)
    if (lead === undefined) throw new CodedError('lead-unknown', { lead: name })
    return { name: lead, gainUv }
  })
  return unpackSamples(of, packedCount, Buffer.from(packed ?? '', 'base64')).map((lead) => lead.samples)
}
