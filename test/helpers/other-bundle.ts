/** A second bundle: the shipped one's network under another version, so that the two differ in their sha256 alone. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SHIPPED_BUNDLE } from '../../shared/inference/active-bundle.ts'

/** @returns `folder`, filled */
export function otherBundle(folder: string, version = '9.9.9'): string {
  cpSync(SHIPPED_BUNDLE, folder, { recursive: true })
  const path = join(folder, 'manifest.json')
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), version }))
  return folder
}
