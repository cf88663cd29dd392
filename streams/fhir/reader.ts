/**
 * The ECGs of a resource on the EHR, with whatever it takes to read them: the results of a report, attached files, the patient's sex and age.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { findEcgs, type SearchResult } from '../formats/fhir/ecgs.ts'
import { holdsEcg } from '../formats/fhir/observation.ts'
import { attachmentsOf, type EcgResource, parseResource, partsOf } from '../formats/fhir/resources.ts'
import { parseRecording } from '../formats/index.ts'
import type { EhrClient, FhirResource } from './client.ts'

/** Reads of the EHR that one ECG may take, and bytes that all of its files may have. */
const MAX_READS = 50
/** Resources that one ECG may be made of, contained ones among them. */
const MAX_RESOURCES = 500
const MAX_FILES_BYTES = 128 * 1024 * 1024

/**
 * @param root as read from the EHR
 * @throws CodedError when the EHR cannot be asked just now (`ehr-unavailable`, `ehr-unauthorized`, `ehr-malformed`), `payload-too-large`.
 *   What it will not give, and what lies elsewhere, is among the result's errors.
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
    if (resource === undefined) continue
    // All bounds before the first read: what names too much is not walked half.
    const contained = 'contained' in resource ? resource.contained : []
    const parts = new Set(neededParts(resource).filter((reference) => !resources.has(reference)))
    const urls = attachmentsOf(resource).flatMap(({ data, url }) =>
      data !== undefined || url === undefined ? [] : [url],
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
    // Sex and age help, but an ECG is read without them where the EHR does not tell them.
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

  /** What is new under a key; `undefined` for what was there already and what cannot be had. */
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

/** What the parser will say of it, it says itself. */
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
