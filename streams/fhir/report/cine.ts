/**
 * One transaction that writes a drawn cine into the chart: an ImagingStudy with the location of its DICOM files, a DocumentReference with
 * the animated preview, and the model. Each one says SYNTHETIC wherever a reader or a program may look, because no scanner took it.
 * @module
 */
import type { Bundle, Device, DocumentReference, ImagingStudy, Reference } from '@medplum/fhirtypes'
import { NOTICE } from '../../../shared/domain/result.ts'
import { CINE_ID, ECG_ID } from './codes.ts'
import { entry, meta, modelEntry, reference } from './transaction.ts'

/** Tag by which a program distinguishes it from an image of a patient. */
const SYNTHETIC = {
  system: 'urn:cardiacnets:origin',
  code: 'synthetic',
  display: 'SYNTHETIC: drawn by a model from an ECG',
}

const VIEW_NAMES = { sax: 'short axis', '4ch': 'four chambers' } as const

/** DICOM: Multi-frame Grayscale Byte Secondary Capture; modality "other", because no scanner made it. */
const SECONDARY_CAPTURE = 'urn:oid:1.2.840.10008.5.1.4.1.1.7.2'
const OTHER_MODALITY = { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'OT', display: 'Other' }

export interface DrawnView {
  readonly view: keyof typeof VIEW_NAMES
  /** DICOM UIDs, dotted numbers. */
  readonly seriesUid: string
  readonly instanceUid: string
  readonly frames: number
  /** With SYNTHETIC in its pixels. It is embedded in the document, so that a reader of the chart needs no token of ours. */
  readonly preview: { readonly contentType: string; readonly bytes: Uint8Array }
}

export interface CineOptions {
  readonly ecgId: string
  /** Version of the ECG that it was drawn from. */
  readonly version: number
  readonly seed: number
  readonly sampler: string
  /** `Patient/123` */
  readonly patient: string
  readonly encounter?: string | undefined
  /** The resource that contains the ECG, if it came from this EHR. */
  readonly source?: string | undefined
  readonly drawnAt: Date
  readonly studyUid: string
  readonly views: readonly DrawnView[]
  /** `name@version` and SHA-256 of the bundle that drew it. */
  readonly model: { readonly bundle: string; readonly sha256: string }
}

/** Makes the transaction for a drawing. Every create is conditional on the drawing's identity, so that a retry makes no duplicate. */
export function cineBundle(options: CineOptions): Bundle {
  const { model } = options
  const drawing = drawingName(options)
  const device = modelEntry('Model that draws cines from ECGs', model.bundle, model.sha256)
  const study = entry(imagingStudy(options, drawing), `identifier=${CINE_ID}|${drawing}`)
  const previews = options.views.map((view) => {
    const name = `${drawing}/${view.view}`
    return entry(preview(options, view, name, reference(device), reference(study)), `identifier=${CINE_ID}|${name}`)
  })
  return { resourceType: 'Bundle', type: 'transaction', entry: [study, ...previews, device] }
}

/** Value of the identifier that a drawing's study has. Version 1 keeps the name that it always had. */
const drawingName = ({ ecgId, seed, sampler, model, version }: CineOptions) =>
  `${ecgId}/${seed}/${sampler}/${model.sha256}${version === 1 ? '' : `/v${version}`}`

/** Version of the ECG that the drawing of this name shows. */
export function drawnVersion(name: string): number {
  const last = name.split('/').at(-1)!
  return last.startsWith('v') ? Number(last.slice(1)) : 1
}

const synthetic = () => ({ ...meta(), tag: [{ ...SYNTHETIC }] })

const title = (view: DrawnView) => `SYNTHETIC cine, ${VIEW_NAMES[view.view]}, drawn from an ECG`

function imagingStudy(options: CineOptions, drawing: string): ImagingStudy {
  const { patient, encounter, studyUid, views, drawnAt, ecgId, version } = options
  return {
    resourceType: 'ImagingStudy',
    meta: synthetic(),
    identifier: [
      { system: CINE_ID, value: drawing },
      { system: ECG_ID, value: ecgId },
      { system: 'urn:dicom:uid', value: `urn:oid:${studyUid}` },
    ],
    status: 'available',
    modality: [OTHER_MODALITY],
    subject: { reference: patient },
    ...(encounter === undefined ? {} : { encounter: { reference: encounter } }),
    started: drawnAt.toISOString(),
    numberOfSeries: views.length,
    numberOfInstances: views.length,
    description: `SYNTHETIC cardiac cines, drawn by a model from version ${version} of an ECG; not an examination`,
    note: [{ text: NOTICE }],
    series: views.map((view, index) => ({
      uid: view.seriesUid,
      number: index + 1,
      modality: OTHER_MODALITY,
      description: title(view),
      numberOfInstances: 1,
      instance: [
        {
          uid: view.instanceUid,
          number: 1,
          sopClass: { system: 'urn:ietf:rfc:3986', code: SECONDARY_CAPTURE },
          title: title(view),
        },
      ],
    })),
  }
}

function preview(
  { patient, encounter, source, drawnAt, version }: CineOptions,
  view: DrawnView,
  name: string,
  device: Reference<Device>,
  study: Reference<ImagingStudy>,
): DocumentReference {
  return {
    resourceType: 'DocumentReference',
    meta: synthetic(),
    identifier: [{ system: CINE_ID, value: name }],
    status: 'current',
    docStatus: 'preliminary',
    type: { coding: [{ ...SYNTHETIC }], text: title(view) },
    subject: { reference: patient },
    date: drawnAt.toISOString(),
    author: [device],
    description: `${title(view)}, version ${version}. ${NOTICE}`,
    content: [
      {
        attachment: {
          contentType: view.preview.contentType,
          data: Buffer.from(view.preview.bytes).toString('base64'),
          size: view.preview.bytes.length,
          title: `${title(view)}, ${view.frames} frames`,
        },
      },
    ],
    context: {
      ...(encounter === undefined ? {} : { encounter: [{ reference: encounter }] }),
      related: [study, ...(source === undefined ? [] : [{ reference: source }])],
    },
  }
}
