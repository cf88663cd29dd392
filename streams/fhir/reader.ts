/**
 * Reads the ECGs of an EHR resource, with everything that they need: results of a report, attached files, and the patient's sex and age.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { findEcgs, type SearchResult } from '../formats/fhir/ecgs.ts'
import { holdsEcg } from '../formats/fhir/observation.ts'
import { attachmentsOf, type EcgResource, isWithdrawn, parseResource, partsOf } from '../formats/fhir/resources.ts'
import { parseRecording } from '../formats/index.ts'
import type { EhrClient, FhirResource } from './client.ts'

/** Most reads of the EHR for one ECG, and most bytes of all its files. */
const MAX_READS = 50
/** Most resources of one ECG, including contained ones. */
const MAX_RESOURCES = 500
const MAX_FILES_BYTES = 128 * 1024 * 1024

/**
 * Reads the ECGs of a resource.
 * @param root as read from the EHR
 * @throws CodedError when the EHR cannot be read at the moment (`ehr-unavailable`, `ehr-unauthorized`, `ehr-malformed`),
 * `payload-too-large`. A part that the EHR refuses, or that is on another server, is among the result's errors
 */
export async function readEcgs(ehr: EhrClient, root: FhirResource): Promise<SearchResult> {
  const gathered = await gather(ehr, root)
  const store = {
    resource: (reference: string) => gathered.resources.get(reference),
    bytes: (url: string) => gathered.files.get(url),
  }
  const { ecgs, errors } = findEcgs(root, store, (files, options) => parseRecording(files, options), {})
  return { ecgs, errors: [...gathered.errors, ...errors] }
}

interface Gathered {
  /** By the reference as it is written. */
  readonly resources: Map<string, FhirResource>
  readonly files: Map<string, Buffer>
  readonly errors: CodedError[]
}

async function gather(ehr: EhrClient, root: FhirResource): Promise<Gathered> {
  const gathered: Gathered = { resources: new Map(), files: new Map(), errors: [] }
  const { resources, files, errors } = gathered
  const waiting: unknown[] = [root]
  let walked = 0
  let reads = 0
  let bytes = 0

  for (let json = waiting.shift(); json !== undefined; json = waiting.shift()) {
    const resource = parsed(json)
    if (resource === undefined || isWithdrawn(resource)) continue
    // All limits are checked before the first read, so that an oversized resource is not read partially.
    const contained = 'contained' in resource ? resource.contained : []
    const parts = new Set(neededParts(resource).filter((reference) => !resources.has(reference)))
    const urls = attachmentsOf(resource).flatMap(({ data, url }) =>
      data !== undefined || url === undefined || url.startsWith('#') ? [] : [url],
    )
    if (++walked + waiting.length + contained.length > MAX_RESOURCES) {
      throw new CodedError('payload-too-large', { field: 'contained', maxResources: MAX_RESOURCES })
    }
    if (reads + parts.size + new Set(urls).size > MAX_READS) throw tooManyReads()
    for (const each of contained) waiting.push(each)
    for (const reference of parts) {
      const part = await once(resources, reference, () => ehr.read(reference))
      if (part !== undefined) waiting.push(part)
    }
    for (const url of urls) {
      const file = await once(files, url, async () => (await ehr.readBinary(url)).bytes)
      bytes += file?.length ?? 0
      if (bytes > MAX_FILES_BYTES)
        throw new CodedError('payload-too-large', { field: 'attachment', maxBytes: MAX_FILES_BYTES })
    }
    const patient = 'subject' in resource ? resource.subject?.reference : undefined
    // Sex and age are useful, but an ECG is read without them when the EHR does not provide them.
    if (patient !== undefined && /(^|\/)Patient\//.test(patient)) {
      await once(
        resources,
        patient,
        () => ehr.read(patient),
        () => {},
      )
    }
  }
  return gathered

  /** Reads what is new under a key; `undefined` for what is already there or unavailable. */
  async function once<T>(
    known: Map<string, T>,
    key: string,
    get: () => Promise<T>,
    refuse = (error: CodedError) => void errors.push(error),
  ): Promise<T | undefined> {
    if (known.has(key)) return undefined
    if (++reads > MAX_READS) throw tooManyReads()
    try {
      const value = await get()
      known.set(key, value)
      return value
    } catch (error) {
      if (!(error instanceof CodedError) || !error.kind.permanent) throw error
      refuse(error)
      return undefined
    }
  }
}

const tooManyReads = () => new CodedError('payload-too-large', { field: 'reference', maxReads: MAX_READS })

/** The parser itself reports errors of the content. */
function parsed(json: unknown): EcgResource | undefined {
  try {
    return parseResource(json)
  } catch {
    return undefined
  }
}

function neededParts(resource: EcgResource): readonly string[] {
  if (resource.resourceType === 'Observation' && holdsEcg(resource)) return []
  return partsOf(resource).filter((reference) => !reference.startsWith('#'))
}
