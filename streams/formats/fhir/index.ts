/**
 * FHIR R4 and R5 in JSON: an Observation with sampled leads; a DocumentReference, Media or Binary that contains a file of any other format;
 * or a DiagnosticReport or Bundle of these. Of several ECGs the first is read.
 * @module
 */
import type { Recording } from '../../../shared/domain/recording.ts'
import { CodedError } from '../../../shared/errors.ts'
import type { Format, ReadOptions } from '../format.ts'
import { parseJson, startsJson } from '../json-text.ts'
import { findEcgs, type ParseFiles, type ResourceStore } from './ecgs.ts'
import { ECG_RESOURCE_TYPES } from './resources.ts'

/**
 * Makes the format.
 * @param parseFiles reads the contained files, of any format
 */
export function createFhirFormat(parseFiles: ParseFiles): Format {
  return {
    name: 'fhir',
    detects(bytes) {
      // The type need not come first, and a narrative may precede it.
      return startsJson(bytes) && namesEcgResource(bytes) && mayHoldEcg(bytes)
    },
    parse: (main, _others, options) => parse(main.bytes, options, parseFiles),
  }
}

/** @throws CodedError those of `parseJson`, `lead-missing` when there is no ECG, and the error of the first ECG */
function parse(bytes: Uint8Array, options: ReadOptions, parseFiles: ParseFiles): Recording {
  const json = parseJson(bytes)
  const { ecgs, errors } = findEcgs(json, storeOf(json), parseFiles, options)
  const [first] = ecgs
  if (first !== undefined) return first.recording
  throw errors[0] ?? new CodedError('lead-missing', { field: 'resourceType' })
}

/** Far enough for any order of fields except after the data themselves; a file whose type comes later is read with `--format fhir`. */
const TYPE_SOUGHT_IN = 64 * 1024

function namesEcgResource(bytes: Uint8Array): boolean {
  const ends = [bytes.subarray(0, TYPE_SOUGHT_IN), bytes.subarray(Math.max(0, bytes.length - TYPE_SOUGHT_IN))]
  return ends.some((part) => {
    const [, type = ''] = /"resourceType"\s*:\s*"([A-Za-z]+)"/.exec(Buffer.from(part).toString('latin1')) ?? []
    return ECG_RESOURCE_TYPES.includes(type)
  })
}

/** Elements with the samples of an ECG, or with its file. An Observation of a laboratory has none of them. */
const ECG_ELEMENTS = ['valueSampledData', 'attachment', 'presentedForm', 'content', 'data'].map((name) => `"${name}"`)

function mayHoldEcg(bytes: Uint8Array): boolean {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return ECG_ELEMENTS.some((name) => file.includes(name))
}

/** Resources in the file itself: the entries of a Bundle, by URL and by type and id. */
function storeOf(json: unknown): ResourceStore {
  const resources = new Map<string, unknown>()
  if (typeof json === 'object' && json !== null && 'entry' in json && Array.isArray(json.entry)) {
    for (const entry of json.entry) addEntry(resources, entry)
  }
  return { resource: (reference) => resources.get(reference), bytes: () => undefined }
}

function addEntry(resources: Map<string, unknown>, entry: unknown): void {
  if (typeof entry !== 'object' || entry === null || !('resource' in entry)) return
  const { resource } = entry
  if ('fullUrl' in entry && typeof entry.fullUrl === 'string') resources.set(entry.fullUrl, resource)
  if (typeof resource !== 'object' || resource === null || !('resourceType' in resource) || !('id' in resource)) return
  resources.set(`${String(resource.resourceType)}/${String(resource.id)}`, resource)
}
