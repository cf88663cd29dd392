/**
 * Handles a DICOM instance: stores its ECG with the order's numbers, and counts instances without samples.
 * @module
 */
import dimse from 'dcmjs-dimse'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { CodedError } from '../../shared/errors.ts'
import type { StoredInstance, StoreVerdict } from '../dicom/scp.ts'
import { ENCAPSULATED_CDA, ENCAPSULATED_PDF } from '../dicom/uids.ts'
import { parseRecording } from '../formats/index.ts'
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
  const elements = elementsOf(file)
  // When the announced instance differs from the one sent, neither can be committed to.
  for (const [name, stated] of [
    ['SOPInstanceUID', instanceUid],
    ['SOPClassUID', classUid],
  ] as const) {
    const own = text(elements[name])
    if (own !== undefined && own !== stated) throw new CodedError('association-mismatch', { field: name })
  }
  const bytes = classUid === ENCAPSULATED_CDA ? documentIn(elements) : file
  const recording = parseRecording([{ name: 'instance', bytes }])
  const received = ecgOf({
    tenant,
    door: 'dicom',
    recording,
    device: text(elements.StationName) ?? text(elements.DeviceSerialNumber),
    about: aboutOf(elements),
    warnings: warnings(),
  })
  const added = store.transaction(() => {
    store.addInstance(instanceUid, now())
    return store.addEcg(received, now())
  })
  if (added.isNew) onStored([added])
  return 'stored'
}

type Elements = Readonly<Record<string, unknown>>

const PREAMBLE = 132

/** Elements beside the waveform. A data set that dcmjs cannot read may still be readable by our own reader. */
function elementsOf(file: Buffer): Elements {
  try {
    // The transfer syntax is in the meta group, which `writePart10` wrote; the value of its first element is the group's length.
    const metaEnd = PREAMBLE + 12 + file.readUInt32LE(PREAMBLE + 8)
    const meta = file.toString('latin1', PREAMBLE, metaEnd)
    const syntax = /UI..(1\.2\.840\.10008\.1\.2[\d.]*)/s.exec(meta)?.[1] ?? '1.2.840.10008.1.2'
    if (syntax.endsWith('.99')) return {}
    return new dimse.Dataset(file.subarray(metaEnd), syntax, { untilTag: '54000100' }).getElements()
  } catch {
    return {}
  }
}

function aboutOf(elements: Elements): About {
  const placer = text(elements.AccessionNumber)
  const source = sourceOf(elements)
  return {
    ...(source && { source }),
    order: placer === undefined ? {} : { placer },
    visit: { patient: text(elements.PatientID), authority: text(elements.IssuerOfPatientID), bed: undefined },
  }
}

function sourceOf(elements: Elements): About['source'] {
  const uid = (name: string) => {
    const value = text(elements[name])
    return value !== undefined && /^[\d.]+$/.test(value) ? value : undefined
  }
  const [study, series] = [uid('StudyInstanceUID'), uid('SeriesInstanceUID')]
  const [instance, classUid] = [uid('SOPInstanceUID'), uid('SOPClassUID')]
  const isWhole = study !== undefined && series !== undefined && instance !== undefined && classUid !== undefined
  return isWhole ? { study, series, instance, classUid } : undefined
}

function documentIn({ EncapsulatedDocument: document }: Elements): Uint8Array {
  const bytes: unknown = Array.isArray(document) ? document[0] : document
  if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes)
  if (bytes instanceof Uint8Array) return bytes
  throw new CodedError('payload-empty', { field: 'EncapsulatedDocument' })
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 64) : undefined
}
