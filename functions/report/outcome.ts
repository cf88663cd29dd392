/**
 * Outcomes of a message to `report`.
 * @module
 */
/** Outcome of a report message. Counted as a metric; never logged with a name. */
export type Outcome =
  | 'written'
  /** This version is already in the chart. */
  | 'exists'
  /** Part of a session whose summary is written later. */
  | 'collected'
  /** On the list `unidentified` until its device is associated with a patient. */
  | 'waiting'
  /** The patient will never be known: an upload without a device. */
  | 'nobody'
  /** The site does not accept values that were learned from simulated people. */
  | 'withheld'
  /** The ECG became `entered-in-error` or `cancelled` in the EHR after it was read. */
  | 'withdrawn'
  /** The tenant may not report to this EHR. */
  | 'foreign'
  /** Deleted, or replaced by a newer result, which has its own message. */
  | 'outdated'
