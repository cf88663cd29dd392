/**
 * What came of a message to `report`.
 * @module
 */
/** What came of a message; counted, never logged with a name. */
export type Outcome =
  | 'written'
  /** This version is in the chart already. */
  | 'exists'
  /** Part of a session whose summary comes later. */
  | 'collected'
  /** In the list `unidentified` until somebody says whose it is. */
  | 'waiting'
  /** Nothing says whose it is, and nothing ever will: an upload without a device. */
  | 'nobody'
  /** The site writes nothing that learned from simulated people. */
  | 'withheld'
  /** Of a tenant that may not report to this EHR. */
  | 'foreign'
  /** Deleted, or screened again since: the newer result has a message of its own. */
  | 'outdated'
