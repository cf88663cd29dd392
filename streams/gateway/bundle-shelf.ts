/**
 * Model bundles that were installed on a gateway later. Each is copied, verified by its signature and hashes, and only then used. The
 * switch is an atomic rename of one file, so a kill leaves either the previous bundle or the new one. Previous bundles are kept for a
 * rollback.
 *
 * The signed manifest is the bundle's own `manifest.json` (name, version, and the SHA-256 of every file). Beside it is `manifest.json.sig`:
 * 64 bytes, Ed25519 (RFC 8032) over the bytes of the manifest, as written by `openssl pkeyutl -sign -rawin`.
 * @module
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { fileFault } from '../../shared/data-files.ts'
import { CodedError } from '../../shared/errors.ts'
import { siteIn } from '../../shared/inference/active-bundle.ts'
import { type Bundle, readBundle, verifyFile } from '../../shared/inference/bundle.ts'
import { readSite, SITE_FILE } from '../../shared/inference/site-calibration.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { readPem } from './config.ts'
import type { ScreeningSetup } from './screening.ts'

const MANIFEST = 'manifest.json'
export const SIGNATURE_FILE = 'manifest.json.sig'

/** Lists the installed bundles, the active one last. */
const STATE_FILE = 'installed.json'
const State = z.object({ schema: z.literal(1), installed: z.array(z.string().regex(/^[\w.-]+$/)) })

/** Folder of a copy in progress. A kill leaves it behind, and the next change removes it. */
const INCOMING = '.incoming'

/** Number of previous bundles that a rollback can return to, beside the one that ships with the program. */
const KEPT_BEFORE = 1

const MAX_MANIFEST_BYTES = 1024 * 1024

/** A bundle in the list of `gateway bundle list`. */
export interface ListedBundle {
  readonly name: string
  readonly version: string
  readonly sha256: string
  readonly isActive: boolean
  /** `installed` with `gateway bundle install`, or `shipped`: the one that the gateway was started with. */
  readonly origin: 'installed' | 'shipped'
}

export interface BundleShelfOptions {
  /** Folder of installed bundles. */
  readonly folder: string
  /** PEM files of the public keys whose signatures are accepted. */
  readonly keys: readonly string[]
  /** The bundle that is used when none is installed. */
  readonly shipped: ScreeningSetup
}

/** Tests a bundle before it becomes the active one. Throws when the bundle cannot screen. */
export type Trial = (setup: ScreeningSetup) => Promise<void>

export class BundleShelf {
  readonly #options: BundleShelfOptions

  constructor(options: BundleShelfOptions) {
    this.#options = options
  }

  /**
   * The active bundle, with its site calibration.
   * @throws CodedError `data-corrupt` when the list of installed bundles cannot be read
   */
  get active(): ScreeningSetup {
    const name = this.#installed().at(-1)
    return name === undefined ? this.#options.shipped : this.#setupOf(join(this.#options.folder, name))
  }

  /** The active bundle, and all that a rollback could return to. */
  async list(): Promise<readonly ListedBundle[]> {
    const installed = this.#installed()
    const entry = async (setup: ScreeningSetup, origin: ListedBundle['origin'], isActive: boolean) => {
      const { manifest, sha256 } = await readBundle(setup.bundleDirectory, CARDIACNETS_V1.name)
      return { name: manifest.name, version: manifest.version, sha256, isActive, origin }
    }
    return Promise.all([
      entry(this.#options.shipped, 'shipped', installed.length === 0),
      ...installed.map((name, i) =>
        entry(this.#setupOf(join(this.#options.folder, name)), 'installed', i === installed.length - 1),
      ),
    ])
  }

  /**
   * Copies a bundle, verifies and tests it, and makes it the active one. Installing the same one again changes nothing.
   * @param siteFile a site calibration that was made for it
   * @throws CodedError `signature-invalid`, `bundle-missing`, `bundle-corrupt`, `bundle-mismatch`, `bundle-older`, those of `readSite`,
   * `disk-full`
   */
  async install(directory: string, tryOut: Trial, siteFile?: string): Promise<ListedBundle> {
    const installed = this.#installed()
    const active = await readBundle(this.active.bundleDirectory, CARDIACNETS_V1.name)
    this.#tidy(installed)
    const incoming = join(this.#options.folder, INCOMING)
    try {
      const bundle = await this.#copy(directory, incoming, siteFile)
      const { name, version } = bundle.manifest
      const listed = { name, version, sha256: bundle.sha256, isActive: true, origin: 'installed' } as const
      if (bundle.sha256 === active.sha256 && siteFile === undefined) return listed
      if (bundle.sha256 !== active.sha256) checkFollows(bundle, active)
      await tryOut(this.#setupOf(incoming))
      const own = `${name}-${version}-${bundle.sha256.slice(0, 12)}`.replace(/[^\w.-]/g, '_')
      const folder = installed.includes(own) ? `${own}.${installed.length}` : own
      rmSync(join(this.#options.folder, folder), { recursive: true, force: true })
      renameSync(incoming, join(this.#options.folder, folder))
      this.#write([...installed, folder].slice(-1 - KEPT_BEFORE))
      return listed
    } catch (error) {
      throw fileFault(this.#options.folder, error) ?? error
    } finally {
      this.#tidy(this.#installed())
    }
  }

  /**
   * Returns to the previous bundle, which was verified when it was installed; its hashes are checked again.
   * @throws CodedError `rollback-impossible` when none was installed, `bundle-corrupt`
   */
  async rollBack(tryOut: Trial): Promise<ListedBundle> {
    const installed = this.#installed()
    if (installed.length === 0) throw new CodedError('rollback-impossible')
    const left = installed.slice(0, -1)
    const name = left.at(-1)
    const setup = name === undefined ? this.#options.shipped : this.#setupOf(join(this.#options.folder, name))
    const { manifest, sha256 } = await verified(await readBundle(setup.bundleDirectory, CARDIACNETS_V1.name))
    await tryOut(setup)
    this.#write(left)
    this.#tidy(left)
    const origin = name === undefined ? 'shipped' : 'installed'
    return { name: manifest.name, version: manifest.version, sha256, isActive: true, origin }
  }

  #setupOf(bundleDirectory: string): ScreeningSetup {
    const { codeVersion } = this.#options.shipped
    return { bundleDirectory, siteFile: siteIn(bundleDirectory), codeVersion }
  }

  /** Copies a bundle and verifies the copy, which no other program writes, so that the verified files are the ones in use. */
  async #copy(from: string, to: string, siteFile: string | undefined): Promise<Bundle> {
    mkdirSync(to, { recursive: true, mode: 0o700 })
    const manifest = readSmall(join(from, MANIFEST), MAX_MANIFEST_BYTES)
    if (manifest === undefined) throw new CodedError('bundle-missing', { field: MANIFEST, folder: from })
    // Before any of it is parsed.
    this.#checkSignature(manifest, readSmall(join(from, SIGNATURE_FILE), 64), from)
    writeSynced(join(to, MANIFEST), manifest)
    const bundle = await readBundle(to, CARDIACNETS_V1.name)
    for (const { path, bytes } of bundle.manifest.files) {
      if (sizeOf(join(from, path)) !== bytes) throw new CodedError('bundle-corrupt', { field: path, folder: from })
      copyFileSync(join(from, path), join(to, path))
      sync(join(to, path))
    }
    await verified(bundle, from)
    if (siteFile !== undefined) {
      const { text } = await readSite(siteFile, bundle)
      writeSynced(join(to, SITE_FILE), Buffer.from(text))
    }
    sync(to)
    return bundle
  }

  #checkSignature(manifest: Buffer, signature: Buffer | undefined, folder: string): void {
    const keys = this.#options.keys.map(publicKey)
    if (keys.length === 0) throw new CodedError('signature-invalid', { field: 'no key in bundles.keys' })
    if (signature === undefined) throw new CodedError('signature-invalid', { field: SIGNATURE_FILE, folder })
    if (!keys.some((key) => verify(null, manifest, key, signature)))
      throw new CodedError('signature-invalid', { field: MANIFEST, folder })
  }

  #installed(): readonly string[] {
    const path = join(this.#options.folder, STATE_FILE)
    if (!existsSync(path)) return []
    try {
      return State.parse(JSON.parse(readFileSync(path, 'utf8'))).installed
    } catch (cause) {
      const { folder } = this.#options
      throw fileFault(path, cause) ?? new CodedError('data-corrupt', { file: STATE_FILE, folder }, { cause })
    }
  }

  /** Writes the list atomically: the old file or the new one is complete. */
  #write(installed: readonly string[]): void {
    const path = join(this.#options.folder, STATE_FILE)
    writeSynced(`${path}.tmp`, Buffer.from(`${JSON.stringify({ schema: 1, installed })}\n`))
    renameSync(`${path}.tmp`, path)
    sync(this.#options.folder)
  }

  /** Removes bundles that no rollback returns to, and what a kill left behind. */
  #tidy(installed: readonly string[]): void {
    const { folder } = this.#options
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(folder)) {
      if (name !== STATE_FILE && !installed.includes(name)) rmSync(join(folder, name), { recursive: true, force: true })
    }
  }
}

/**
 * A new bundle must have the same name as the active one and a later version. To return to an old one, use `rollback`; an old signature is
 * not accepted.
 */
function checkFollows({ manifest: { name, version } }: Bundle, { manifest: active }: Bundle): void {
  if (name !== active.name) throw new CodedError('bundle-mismatch', { field: `name, which must be ${active.name}` })
  if (compareVersions(version, active.version) <= 0) {
    throw new CodedError('bundle-older', { version, active: active.version })
  }
}

/** Compares the numbers: 1.10.0 is later than 1.9.2. A suffix (`-rc1`) is ignored. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => (/^\d+(?:\.\d+)*/.exec(text)?.[0] ?? '').split('.').map(Number))
  for (let i = 0; i < Math.max(left!.length, right!.length); i++) {
    const difference = (left![i] ?? 0) - (right![i] ?? 0)
    if (difference !== 0) return Math.sign(difference)
  }
  return 0
}

/** @throws CodedError `bundle-corrupt` naming the first file that differs from the manifest */
async function verified(bundle: Bundle, folder = bundle.directory): Promise<Bundle> {
  for (const { path } of bundle.manifest.files) {
    await verifyFile(bundle, path).catch((cause: unknown) => {
      throw new CodedError('bundle-corrupt', { field: path, folder }, { cause })
    })
  }
  return bundle
}

/** @throws CodedError `file-not-found`, `site-config-invalid` for a file that is not an Ed25519 key */
function publicKey(file: string, index: number): KeyObject {
  const field = `bundles.keys.${index}`
  const pem = readPem(file, field)
  try {
    const key = createPublicKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Reported below, the same for every kind of wrong file.
  }
  throw new CodedError('site-config-invalid', { field: `gateway.${field}`, expected: 'an Ed25519 public key, as PEM' })
}

function readSmall(path: string, maxBytes: number): Buffer | undefined {
  return (sizeOf(path) ?? Number.POSITIVE_INFINITY) <= maxBytes ? readFileSync(path) : undefined
}

/** Bytes of a readable file, otherwise `undefined`. */
function sizeOf(path: string): number | undefined {
  try {
    accessSync(path, constants.R_OK)
    const info = statSync(path)
    return info.isFile() ? info.size : undefined
  } catch {
    return undefined
  }
}

function writeSynced(path: string, bytes: Buffer): void {
  writeFileSync(path, bytes, { mode: 0o600 })
  sync(path)
}

/** Flushes a file's bytes, or a folder's entries, to disk, to survive a power failure. */
function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
