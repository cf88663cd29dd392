/**
 * Handles a DICOM instance: stores its ECG with the order's numbers, and counts instances without samples.
 * @module
 */
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { CodedError } from '../../shared/errors.ts'
import type { StoredInstance, StoreVerdict } from '../dicom/scp.ts'
import { ENCAPSULATED_CDA, ENCAPSULATED_PDF } from '../dicom/uids.ts'
import { type Dataset, readDicom, type TagName } from '../formats/dicom/dataset.ts'
import { parseRecording } from '../formats/index.ts'
import { charsetOf } from '../hl7/charsets.ts'
import { ecgOf } from './recordings.ts'
import type { Store } from './store.ts'
import type { About, Added } from './stored-ecg.ts'

export interface DicomStoreOptions {
  readonly tenant: string
  readonly store: Store
  readonly now: () => number
  readonly warnings: () => readonly ResultWarning[]
  readonly onStored: (added: readonly Added[]) => void
  readonly onPdf: () => void
}

/**
 * Stores an instance.
 * @throws CodedError for a fault of the instance, or `disk-full`
 */
export function storeInstance(
  options: DicomStoreOptions,
  { file, classUid, instanceUid }: StoredInstance,
): StoreVerdict {
  const { tenant, store, now, warnings, onStored, onPdf } = options
  if (classUid === ENCAPSULATED_PDF) {
    onPdf()
    return 'no-samples'
  }
  const dataset = readDicom(file)
  const text = textIn(dataset)
  // When the announced instance differs from the one sent, neither can be committed to.
  for (const [name, tag, stated] of [
    ['SOPInstanceUID', 'sopInstance', instanceUid],
    ['SOPClassUID', 'sopClass', classUid],
  ] as const) {
    const own = text(tag)
    if (own !== undefined && own !== stated) throw new CodedError('association-mismatch', { field: name })
  }
  const bytes = classUid === ENCAPSULATED_CDA ? documentIn(dataset) : file
  const recording = parseRecording([{ name: 'instance', bytes }])
  const received = ecgOf({
    tenant,
    door: 'dicom',
    recording,
    device: text('stationName') ?? text('deviceSerialNumber'),
    about: aboutOf(text),
    warnings: warnings(),
  })
  const added = store.transaction(() => {
    store.addInstance(instanceUid, now())
    return store.addEcg(received, now())
  })
  if (added.isNew) onStored([added])
  return 'stored'
}

/** Text of an element in the data set's character set, at most 64 characters; `undefined` when it is empty. */
type TextOf = (name: TagName) => string | undefined

function textIn(dataset: Dataset): TextOf {
  const names = (dataset.text('characterSet') ?? '').split('\\').map((name) => name.trim().toUpperCase())
  // The numbers and UIDs that are read are ASCII nearly everywhere, so an unknown character set is no reason to refuse an ECG.
  const decoder = new TextDecoder(charsetOf(names.filter((name) => name !== '')) ?? 'windows-1252')
  return (name) => {
    const text = decoder.decode(dataset.bytes(name) ?? new Uint8Array()).replace(/\0/g, '')
    return text.trim().slice(0, 64) || undefined
  }
}

function aboutOf(text: TextOf): About {
  const placer = text('accessionNumber')
  const source = sourceOf(text)
  return {
    ...(source && { source }),
    order: placer === undefined ? {} : { placer },
    visit: { patient: text('patientId'), authority: text('patientIdIssuer'), bed: undefined },
  }
}

function sourceOf(text: TextOf): About['source'] {
  const uid = (name: TagName) => {
    const value = text(name)
    return value !== undefined && /^[\d.]+$/.test(value) ? value : undefined
  }
  const [study, series, instance, classUid] = [uid('study'), uid('series'), uid('sopInstance'), uid('sopClass')]
  const isWhole = study !== undefined && series !== undefined && instance !== undefined && classUid !== undefined
  return isWhole ? { study, series, instance, classUid } : undefined
}

/** Without the zero that makes its length even. */
function documentIn(dataset: Dataset): Uint8Array {
  const bytes = dataset.bytes('encapsulatedDocument')
  if (bytes === undefined || bytes.length === 0)
    throw new CodedError('payload-empty', { field: 'EncapsulatedDocument' })
  return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes
}
