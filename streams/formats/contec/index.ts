/**
 * Contec .ECG files, as written by the ECG90A. There is no specification; the layout was reverse-engineered by N. Rigacci
 * (github.com/RigacciOrg/ecg-contec): a header of 43 bytes, samples at 800 Hz as uint16 little-endian around 2048 in steps of 5 µV,
 * interleaved II, III, V1…V6, and a footer of 37 bytes.
 * @module
 */
import type { LeadName } from '../../../shared/domain/leads.ts'
import { checkDuration, checkRecording, MISSING_SAMPLE, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { ByteReader, latin1 } from '../byte-reader.ts'
import { said, warnUnused } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { plausiblePerson } from '../person.ts'
import { utcTime } from '../time.ts'

const RATE_HZ = 800
const GAIN_UV = 5
const ZERO = 2048

/** Value of samples while an electrode is off. */
const LEAD_OFF = 0x6800

/** I, aVR, aVL and aVF are not stored, because they follow from these. */
const STORED_LEADS: readonly LeadName[] = ['II', 'III', 'V1', 'V2', 'V3', 'V4', 'V5', 'V6']

const HEADER_BYTES = 43
const FOOTER_BYTES = 37
const ROW_BYTES = STORED_LEADS.length * 2

const TIME = /^(\d{4})-(\d{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2})$/

export const contec: Format = {
  name: 'contec',
  detects(bytes) {
    const samplesBytes = bytes.length - HEADER_BYTES - FOOTER_BYTES
    return (
      samplesBytes >= 0 &&
      samplesBytes % ROW_BYTES === 0 &&
      /^\d{1,8}$/.test(latin1(bytes.subarray(0, 8))) &&
      TIME.test(latin1(bytes.subarray(10, 30)))
    )
  },
  parse: (main, _others, options) => parse(main.bytes, options),
}

/** @throws CodedError `payload-malformed`, and those of `checkRecording` */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit', 'lead'], warnings)
  const rateHz = options.rateHz ?? RATE_HZ
  const reader = new ByteReader(bytes)
  // Case number and name are identities and are skipped.
  reader.skip(10, 'case')
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] =
    TIME.exec(reader.text(20, 'time'))?.slice(1).map(Number) ?? []
  reader.skip(10, 'name')
  const sex = reader.u8('sex')
  const ageYears = reader.u8('age')
  const weightKg = reader.u8('weight')
  const rows = (reader.remaining - FOOTER_BYTES) / ROW_BYTES
  if (!(Number.isInteger(rows) && rows >= 0)) throw reader.malformed('samples')
  checkDuration(rows, rateHz, 'samples')
  const leads = STORED_LEADS.map((name) => ({ name, gainUv: GAIN_UV, samples: new Int32Array(rows) }))
  for (let row = 0; row < rows; row++) {
    for (const { samples } of leads) {
      const value = reader.u16('samples')
      samples[row] = value === LEAD_OFF ? MISSING_SAMPLE : value - ZERO
    }
  }
  return checkRecording({
    format: 'contec',
    rateHz,
    leads,
    startedAt: utcTime({ year, month, day, hour, minute, second }),
    person: plausiblePerson({
      sex: sex === 0 ? 'female' : sex === 1 ? 'male' : undefined,
      // The device writes zero for unknown.
      ageYears: ageYears || undefined,
      weightKg: weightKg || undefined,
    }),
    ...said(warnings),
  })
}
