/**
 * What every file ends with (`vitest.config.ts`): its temporary folders go, and a file that shares its process leaves that as it found it.
 * @module
 */
import { afterAll, expect } from 'vitest'
import { removeTemporaryFolders } from './temporary-folder.ts'

const before = { folder: process.cwd(), environment: { ...process.env } }

afterAll(() => {
  removeTemporaryFolders()
  expect(process.cwd()).toBe(before.folder)
  if (process.env.SHARED_PROCESS !== undefined) expect({ ...process.env }).toEqual(before.environment)
})
