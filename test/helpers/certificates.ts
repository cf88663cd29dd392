/**
 * Certificates for tests, made by OpenSSL: an authority, and what it signs.
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const HAS_OPENSSL = spawnSync('openssl', ['version']).error === undefined

/** For the name of a suite that `describe.skipIf(!HAS_OPENSSL)` skips. */
export const NO_OPENSSL = HAS_OPENSSL ? '' : ' (skipped: no openssl)'

/** PEM files. */
export interface CertificateFiles {
  readonly cert: string
  readonly key: string
}

const NEW_KEY = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-batch']

export class Authority {
  /** PEM file. */
  readonly ca: string
  readonly #folder: string

  /** @param folder where its files are written */
  constructor(folder: string) {
    this.#folder = folder
    this.ca = this.#at('ca.pem')
    this.#openssl(
      ...NEW_KEY,
      '-x509',
      '-days',
      '400',
      '-subj',
      '/CN=test authority',
      '-keyout',
      'ca.key',
      '-out',
      this.ca,
    )
  }

  /**
   * A certificate for 127.0.0.1, and for a client of that name.
   * @param days until it ends; negative: it has ended
   */
  sign(name: string, days = 5): CertificateFiles {
    const [cert, key] = [this.#at(`${name}.pem`), this.#at(`${name}.key`)]
    this.#openssl(...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', `${name}.csr`)
    writeFileSync(this.#at('san'), 'subjectAltName=IP:127.0.0.1')
    const by = ['-CA', this.ca, '-CAkey', 'ca.key', '-CAcreateserial', '-days', String(days)]
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-extfile', 'san', '-out', cert)
    return { cert, key }
  }

  /** The same as PEM, for Node.js. */
  pem(name: string, days?: number) {
    const { cert, key } = this.sign(name, days)
    return { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(this.ca) }
  }

  #at(name: string): string {
    return join(this.#folder, name)
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: 'pipe' })
  }
}
