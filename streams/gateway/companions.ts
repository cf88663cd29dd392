/**
 * Which other files a recording needs, for a folder where they come one by one.
 * @module
 */

import type { SourceFile } from '../formats/format.ts'
import { companionsOf } from '../formats/index.ts'

/** Extensions of the signal files that WFDB headers name. */
const SIGNALS = /\.(?:dat|mat|d16|xyz)$/i

/** Names beside a main file; a WFDB signal file is read with its header. */
export function headerCompanions(file: SourceFile): readonly string[] | 'not-the-main-file' {
  const companions = companionsOf(file)
  if (companions.length > 0) return companions
  return SIGNALS.test(file.name) ? 'not-the-main-file' : []
}
