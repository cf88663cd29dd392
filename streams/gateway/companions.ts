/**
 * Finds the other files of a recording in a folder where files arrive one by one.
 * @module
 */

import type { SourceFile } from '../formats/format.ts'
import { companionsOf } from '../formats/index.ts'

/** Extensions of the signal files in WFDB headers. */
const SIGNALS = /\.(?:dat|mat|d16|xyz)$/i

/** Names of the other files of a main file. A WFDB signal file is read through its header. */
export function headerCompanions(file: SourceFile): readonly string[] | 'not-the-main-file' {
  const companions = companionsOf(file)
  if (companions.length > 0) return companions
  return SIGNALS.test(file.name) ? 'not-the-main-file' : []
}
