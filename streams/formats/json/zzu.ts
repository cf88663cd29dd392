/**
 * The JSON edition of ZZU pECG (children's ECGs of Zhengzhou University's first hospital): leads by name, voltages as decimal fractions of
 * millivolts, as in the WFDB records that it was made from.
 * @module
 */
import * as z from 'zod'
import { findLead } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import { leadsAmong, readableLeads, said } from '../channels.ts'
import type { ReadOptions } from '../format.ts'
import { ageInYears, plausiblePerson, sexOfText } from '../person.ts'
import { toLead } from '../quantise.ts'
import { startOfText } from '../time.ts'
import { microvolts } from '../units.ts'

const DATASET = 'ZZU pECG'

const ZzuFile = z.object({
  signal: z.object({ leads: z.record(z.string(), z.unknown()), sampleRate: z.number().optional() }),
  patient: z.object({ age: z.string(), sex: z.string(), testDateTime: z.string() }).partial().optional(),
  source: z.object({ dataset: z.string() }).partial().optional(),
})

/** @throws CodedError `field-invalid`, `lead-unknown`, `unit-unknown` (another data set), and those of `checkRecording` */
export function parseZzu(document: object, options: ReadOptions): Recording {
  const { data, error } = ZzuFile.safeParse(document)
  if (data === undefined) throw new CodedError('field-invalid', { field: error.issues[0]!.path.slice(0, 2).join('.') })
  const { signal, patient, source } = data
  const rateHz = options.rateHz ?? signal.sampleRate
  if (rateHz === undefined) throw new CodedError('field-invalid', { field: 'signal.sampleRate' })
  const unit = options.unit ?? (source?.dataset === DATASET ? 'mV' : undefined)
  if (unit === undefined) throw new CodedError('unit-unknown', { field: 'signal' })
  const warnings: ResultWarning[] = []
  const channels = Object.entries(signal.leads).map(([label, values]) => ({ label, values, lead: findLead(label) }))
  const named = leadsAmong(channels, (channel) => channel, options, 'signal.leads', warnings)
  const read = ({ name, channel: { values } }: (typeof named)[number]) => {
    const field = `signal.leads.${name}`
    if (!Array.isArray(values)) throw new CodedError('field-invalid', { field })
    checkDuration(values.length, rateHz, field)
    const invalid = (index: number) => new CodedError('sample-invalid', { field: `${field}[${index}]` })
    const wrong = values.findIndex((value) => typeof value !== 'number')
    if (wrong >= 0) throw invalid(wrong)
    return toLead(name, Float64Array.from(values), microvolts(unit, 'signal'), invalid)
  }
  const [, age, ageUnit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)/i.exec(patient?.age ?? '') ?? []
  return checkRecording({
    format: 'json',
    rateHz,
    leads: readableLeads(named, read, warnings),
    startedAt: startOfText(patient?.testDateTime),
    person: plausiblePerson({
      sex: sexOfText(patient?.sex),
      ageYears: ageInYears(age === undefined ? undefined : Number(age), ageUnit),
    }),
    ...said(warnings),
  })
}
