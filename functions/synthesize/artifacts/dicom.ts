/**
 * A cine as a DICOM object: Multi-frame Grayscale Byte Secondary Capture (PS3.3, A.8.3), without a patient or a date.
 * @module
 */
import dcmjs from 'dcmjs'
import { IMPLEMENTATION_UID } from '../../../shared/dicom-uid.ts'
import { NOTICE } from '../../../shared/domain/result.ts'
import type { View } from '../../../shared/inference/synthesis-manifest.ts'
import type { Cine } from '../../../shared/inference/synthesizer.ts'
import { type Drawing, instanceUid, seriesUid, studyUid } from './drawing.ts'
import { MARK_ROWS, withMark } from './mark.ts'

const { DicomDict, DicomMetaDictionary } = dcmjs.data

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7.2'
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'
const MANUFACTURER = 'CardiacNets Edge'
/** Tag of Frame Time. */
const FRAME_TIME = 0x0018_1063
const VIEW_TITLES: Readonly<Record<View, string>> = { sax: 'short axis', '4ch': 'four chambers' }

export interface DicomOptions {
  readonly drawing: Drawing
  /** `name@version` of the bundle. */
  readonly model: string
  readonly codeVersion: string
  /** Length of the cardiac cycle, ms. */
  readonly cycleMs: number
}

/** The file of the object. The mark is below the image (`withMark`), so it has `MARK_ROWS` more rows than the cine. */
export function dicomFile(cine: Cine, { drawing, model, codeVersion, cycleMs }: DicomOptions): Uint8Array {
  const { view, frames, count, height, width, spacingMm } = cine
  const { ecgId, version, seed, sampler, steps, guidance, modelSha256 } = drawing
  const sopInstanceUid = instanceUid(drawing, view)
  const title = `SYNTHETIC cine, ${VIEW_TITLES[view]}, drawn from an ECG`
  const pixels = withMark(frames, count, height, width)
  const equipment = {
    Manufacturer: MANUFACTURER,
    ManufacturerModelName: model,
    SoftwareVersions: [modelSha256, codeVersion],
  }
  const file = new DicomDict(
    DicomMetaDictionary.denaturalizeDataset({
      FileMetaInformationVersion: Uint8Array.of(0, 1).buffer,
      MediaStorageSOPClassUID: SECONDARY_CAPTURE,
      MediaStorageSOPInstanceUID: sopInstanceUid,
      TransferSyntaxUID: EXPLICIT_LITTLE_ENDIAN,
      ImplementationClassUID: IMPLEMENTATION_UID,
      ImplementationVersionName: 'CARDIACNETS_EDGE',
    }),
  )
  file.dict = DicomMetaDictionary.denaturalizeDataset({
    SpecificCharacterSet: 'ISO_IR 192',
    ImageType: ['DERIVED', 'SECONDARY'],
    SOPClassUID: SECONDARY_CAPTURE,
    SOPInstanceUID: sopInstanceUid,
    SyntheticData: 'YES',
    // Patient and study: empty, with no date. The archive that stores the object knows the patient.
    PatientName: '',
    PatientID: '',
    PatientBirthDate: '',
    PatientSex: '',
    StudyInstanceUID: studyUid(drawing),
    StudyDate: '',
    StudyTime: '',
    ReferringPhysicianName: '',
    StudyID: '',
    AccessionNumber: '',
    StudyDescription: 'SYNTHETIC cardiac cines drawn from an ECG; not an examination',
    SeriesInstanceUID: seriesUid(drawing, view),
    SeriesNumber: view === 'sax' ? 1 : 2,
    SeriesDescription: title,
    Modality: 'OT',
    BodyPartExamined: 'HEART',
    // Equipment and method.
    ...equipment,
    ConversionType: 'SYN',
    ContributingEquipmentSequence: [
      {
        ...equipment,
        ContributionDescription: `Drew the cine: seed ${seed}, sampler ${sampler}, ${steps} steps, guidance ${guidance}`,
        PurposeOfReferenceCodeSequence: [
          { CodeValue: '109102', CodingSchemeDesignator: 'DCM', CodeMeaning: 'Processing Equipment' },
        ],
      },
    ],
    DerivationDescription: `SYNTHETIC: drawn by a diffusion model from ECG ${ecgId}, version ${version}; no scanner took it. ${NOTICE}`,
    ImageComments: `${title}. ${NOTICE}`,
    InstanceNumber: 1,
    PatientOrientation: '',
    BurnedInAnnotation: 'NO',
    LossyImageCompression: '00',
    // Motion.
    NumberOfFrames: count,
    FrameIncrementPointer: FRAME_TIME,
    FrameTime: Number((cycleMs / count).toFixed(6)),
    // Pixels.
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: height + MARK_ROWS,
    Columns: width,
    PixelSpacing: [spacingMm, spacingMm],
    BitsAllocated: 8,
    BitsStored: 8,
    HighBit: 7,
    PixelRepresentation: 0,
    RescaleIntercept: 0,
    RescaleSlope: 1,
    RescaleType: 'US',
    PresentationLUTShape: 'IDENTITY',
    PixelData: pixels.buffer,
    _vrMap: { PixelData: 'OB' },
  })
  return new Uint8Array(file.write())
}
