/**
 * SCP-ECG (ISO 11073-91064, EN 1064, AAMI EC71): raw data, differences, Huffman tables, bimodal compression and reference beat subtraction.
 * @module
 */
import { checkRecording, type Recording } from '../../../shared/domain/recording.ts'
import type { ResultWarning } from '../../../shared/domain/warnings.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { ByteReader } from '../byte-reader.ts'
import { said, warnUnused } from '../channels.ts'
import type { Format, ReadOptions } from '../format.ts'
import { shifted } from '../time.ts'
import { readHeader, type ScpHeader } from './header.ts'
import { readLeads } from './leads.ts'
import { looksLikeScp, readSections } from './sections.ts'

export const scp: Format = {
  name: 'scp',
  detects: looksLikeScp,
  parse: (main, _others, options) => parse(main.bytes, options),
}

/**
 * Parses a file. A lead that was recorded for part of the time has missing samples for the rest.
 * @throws CodedError `payload-malformed` naming the section, `payload-too-large`, `format-unsupported`, `lead-unknown`, `gain-invalid`,
 * `rate-unsupported`, and those of `checkRecording`
 */
function parse(bytes: Uint8Array, options: ReadOptions = {}): Recording {
  const warnings: ResultWarning[] = []
  warnUnused(options, ['unit'], warnings)
  const sections = readSections(bytes, warnings)
  const { startedAt, person } = headerOf(sections.get(1), warnings)
  const { rateHz, firstSample, leads } = readLeads(sections, options, warnings)
  return checkRecording({
    format: 'scp',
    rateHz,
    leads,
    startedAt: startedAt === undefined ? undefined : shifted(startedAt, (firstSample * 1000) / rateHz),
    person,
    ...said(warnings),
  })
}

/** Time and person; the ECG can be read without them. */
function headerOf(section: ByteReader | undefined, warnings: ResultWarning[]): Partial<ScpHeader> {
  if (section === undefined) return {}
  try {
    return readHeader(section)
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    warnings.push({ code: 'field-left-out', field: 'section1' })
    return {}
  }
}
