/**
 * Other people's programs that read DICOM, where they are there: dciodvfy (Debian package dicom3tools) and pydicom (of `models/training`).
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const PYTHON = resolve(import.meta.dirname, '../../models/training/.venv/bin/python')

export const hasDciodvfy = spawnSync('dciodvfy', ['-version']).error === undefined
export const NO_DCIODVFY = hasDciodvfy ? '' : ' (skipped: no dciodvfy; Debian package dicom3tools)'

export const hasPydicom = existsSync(PYTHON)
export const NO_PYDICOM = hasPydicom ? '' : ' (skipped: no models/training/.venv; `uv sync` there)'

/** What dciodvfy finds wrong, a line each. */
export function dicomErrors(path: string): string[] {
  const { stderr } = spawnSync('dciodvfy', ['-new', path], { encoding: 'utf8' })
  return stderr.split('\n').filter((line) => line.startsWith('Error'))
}

/** What pydicom reads: attributes by keyword, and the shape and sha256 of the pixels. */
export function readByPydicom(path: string): {
  readonly attributes: Readonly<Record<string, string>>
  readonly shape: readonly number[]
  readonly pixelsSha256: string
} {
  const script = `
import hashlib, json, sys, warnings
warnings.simplefilter("error")
import pydicom
dataset = pydicom.dcmread(sys.argv[1])
pixels = dataset.pixel_array
print(json.dumps({
  "attributes": {e.keyword: str(e.value) for e in dataset.iterall() if e.VR != "SQ" and e.keyword != "PixelData"},
  "shape": pixels.shape,
  "pixelsSha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
}))`
  return JSON.parse(execFileSync(PYTHON, ['-c', script, path], { encoding: 'utf8' }))
}
