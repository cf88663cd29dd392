// dcmjs has no types; these are the parts that we use.
declare module 'dcmjs' {
  /** Attributes by keyword; a sequence is an array of datasets. `_vrMap` states the VRs that the dictionary leaves open. */
  type Dataset = Readonly<Record<string, unknown>>
  /** Attributes by tag. */
  type Dictionary = Record<string, { vr: string; Value: unknown[] }>

  class DicomDict {
    constructor(meta: Dictionary)
    dict: Dictionary
    write(): ArrayBuffer
  }
  const DicomMetaDictionary: { denaturalizeDataset(dataset: Dataset): Dictionary }

  export const data: { DicomDict: typeof DicomDict; DicomMetaDictionary: typeof DicomMetaDictionary }
  const dcmjs: { data: typeof data }
  export default dcmjs
}
