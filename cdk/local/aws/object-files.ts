/**
 * The files in which fauxqs stores objects: each object is replaced atomically, and an object with broken files does not prevent the others
 * from being read.
 * @module
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The parts of fauxqs' `FileS3Persistence` that are used here; absent from its public types. */
export interface ObjectFiles {
  readonly baseDir: string
  readonly bucketsDir: string
  readonly multipartDir: string
  upsertObject(bucket: string, object: unknown): void
  walkMetaFiles(folder: string, each: (path: string) => void): void
}

/** Folder for broken files, within the folder of objects. */
const SET_ASIDE = 'set-aside'

const META = '.meta.json'

/**
 * Writes each object to `incoming` first and then moves it into place, so that a full disk, or a kill in mid-write, leaves the old one
 * intact.
 * @returns `objects`, modified
 */
export function replaceWhole<T extends ObjectFiles>(objects: T, incoming: ObjectFiles): T {
  return Object.assign(objects, {
    upsertObject(bucket: string, object: unknown): void {
      const from = join(incoming.bucketsDir, bucket, 'objects')
      try {
        incoming.upsertObject(bucket, object)
        // An object has two files: its bytes, then its metadata.
        const files = readdirSync(from, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
        for (const { parentPath, name } of files.toSorted((a, b) => a.name.localeCompare(b.name))) {
          const path = join(parentPath, name)
          const target = join(objects.bucketsDir, bucket, 'objects', relative(from, path))
          mkdirSync(dirname(target), { recursive: true })
          renameSync(path, target)
        }
      } finally {
        rmSync(from, { recursive: true, force: true })
      }
    },
  })
}

/**
 * Makes `loadS3` move unreadable files to `set-aside` and continue: a partial `.meta.json`, missing or truncated bytes, a partial multipart
 * upload. A bucket whose own file is broken gets the name of its folder.
 * @returns paths of the files that were moved, filled when `loadS3` has run
 */
export function setBrokenAside(objects: ObjectFiles): readonly string[] {
  const { baseDir, bucketsDir, multipartDir } = objects
  const moved: string[] = []
  const setAside = (path: string) => {
    const target = join(baseDir, SET_ASIDE, relative(baseDir, path))
    mkdirSync(dirname(target), { recursive: true })
    rmSync(target, { recursive: true, force: true })
    renameSync(path, target)
    return target
  }
  for (const bucket of readdirSync(bucketsDir)) mendBucket(join(bucketsDir, bucket))
  for (const upload of readdirSync(multipartDir)) {
    if (!isUploadWhole(join(multipartDir, upload))) moved.push(setAside(join(multipartDir, upload)))
  }
  const walk = objects.walkMetaFiles.bind({ walkMetaFiles: objects.walkMetaFiles })
  Object.assign(objects, {
    walkMetaFiles(folder: string, each: (path: string) => void): void {
      walk(folder, (path) => {
        if (isObjectWhole(path)) return each(path)
        const data = dataOf(path)
        if (existsSync(data)) setAside(data)
        moved.push(setAside(path))
      })
    },
  })
  return moved
}

const dataOf = (metaPath: string) => `${metaPath.slice(0, -META.length)}.data`

function isObjectWhole(metaPath: string): boolean {
  const meta = readJson(metaPath)
  if (meta === undefined || typeof meta.key !== 'string' || typeof meta.etag !== 'string') return false
  const isDated = !Number.isNaN(new Date(String(meta.lastModified)).getTime())
  return isDated && statSync(dataOf(metaPath), { throwIfNoEntry: false })?.size === meta.contentLength
}

function isUploadWhole(folder: string): boolean {
  const upload = readJson(join(folder, '.upload.json'))
  if (upload === undefined || typeof upload.uploadId !== 'string') return false
  const parts = join(folder, 'parts')
  const metas = existsSync(parts) ? readdirSync(parts).filter((name) => name.endsWith(META)) : []
  return metas.every((name) => {
    const part = readJson(join(parts, name))
    return part !== undefined && existsSync(join(parts, `${part.partNumber}.data`))
  })
}

/** Only the name in a bucket's file is needed, and it equals that of the folder. */
function mendBucket(folder: string): void {
  const file = join(folder, '.bucket.json')
  const name = relative(dirname(folder), folder)
  if (!statSync(folder).isDirectory() || readJson(file)?.name === name) return
  writeFileSync(file, JSON.stringify({ name, creationDate: statSync(folder).birthtime, type: 'general-purpose' }))
}

function readJson(file: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
