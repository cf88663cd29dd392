// dcmjs brings no types; this is what we use of it.
declare module 'dcmjs' {
  /** Attributes by their keywords; a sequence is an array of datasets. `_vrMap` says what the dictionary leaves open. */
  type Dataset = Readonly<Record<string, unknown>>
  /** Attributes by their tags. */
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
