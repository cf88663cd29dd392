/**
 * Folders that go when the tests of a file are done: `leftovers.ts` removes them.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const temporary: string[] = []

/** An empty folder that goes when the tests of this file are done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cardiacnets-test-'))
  temporary.push(folder)
  return folder
}

export function removeTemporaryFolders(): void {
  for (const folder of temporary.splice(0)) rmSync(folder, { recursive: true, force: true })
}
