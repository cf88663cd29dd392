/**
 * SCP-ECG (ISO 11073-91064, EN 1064, AAMI EC71): raw, differences, Huffman tables, bimodal compression and reference beat subtraction.
 * @module
 */
import { checkRecording, type Recording } from '../../../shared/domain/recording.ts'
import type { Format } from '../format.ts'
import { shifted } from '../time.ts'
import { readHeader } from './header.ts'
import { readLeads } from './leads.ts'
import { looksLikeScp, readSections } from './sections.ts'

export const scp: Format = {
  name: 'scp',
  detects: looksLikeScp,
  parse: (main) => parse(main.bytes),
}

/**
 * Leads that were recorded for a part of the time have missing samples for the rest.
 * @throws CodedError `payload-malformed` naming the section, `payload-too-large`, `format-unsupported`, `lead-unknown`, `gain-invalid`,
 *   `rate-unsupported`, and those of `checkRecording`
 */
export function parse(bytes: Uint8Array): Recording {
  const sections = readSections(bytes)
  const header = sections.get(1)
  const { startedAt, person } = header === undefined ? {} : readHeader(header)
  const { rateHz, firstSample, leads } = readLeads(sections)
  return checkRecording({
    format: 'scp',
    rateHz,
    leads,
    startedAt: startedAt === undefined ? undefined : shifted(startedAt, (firstSample * 1000) / rateHz),
    person,
  })
}
