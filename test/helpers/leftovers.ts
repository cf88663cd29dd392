/**
 * What every file ends with (`vitest.config.ts`): its temporary folders go, and a file that shares its process leaves that as it found it.
 * @module
 */
import { afterAll, expect } from 'vitest'
import { removeTemporaryFolders } from './temporary-folder.ts'

/** What native libraries set when they are loaded: libvips. */
const SET_BY_LIBRARIES = ['VIPSHOME']

const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !SET_BY_LIBRARIES.includes(name)))

const before = { folder: process.cwd(), environment: environment() }

afterAll(() => {
  removeTemporaryFolders()
  expect(process.cwd()).toBe(before.folder)
  if (process.env.SHARED_PROCESS !== undefined) expect(environment()).toEqual(before.environment)
})
