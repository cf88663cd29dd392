/**
 * Delivers results to a DICOM archive as structured reports, by C-STORE or STOW-RS. Delivery to an archive that is unreachable or full is
 * retried; a report that the archive refuses is not.
 * @module
 */
import { readFile } from 'node:fs/promises'
import { CodedError } from '../../shared/errors.ts'
import { fileOf, storeAttributes, stow } from '../dicom/scu.ts'
import { structuredReport } from '../dicom/structured-report.ts'
import { type Archive, type GatewayConfig, readPeerTls } from './config.ts'
import type { Store } from './store.ts'
import { resultIn } from './stored-ecg.ts'
import { completeAbout } from './whose.ts'

export interface ArchiveDeliveryOptions {
  readonly archive: Archive
  readonly config: GatewayConfig
  readonly store: Store
}

/** C-STORE status: out of resources (PS3.4, table B.2-1). */
const isNoRoom = (status: unknown) => typeof status === 'number' && status >> 8 === 0xa7

export class ArchiveDelivery {
  readonly #options: ArchiveDeliveryOptions
  readonly #store: (report: Readonly<Record<string, unknown>>) => Promise<unknown>

  /** @throws CodedError `file-not-found` for a missing certificate */
  constructor(options: ArchiveDeliveryOptions) {
    this.#options = options
    const { archive } = options
    if (archive.kind === 'dicom') {
      const peer = { ...archive, tls: readPeerTls(archive.tls, `archives.${archive.name}`) }
      this.#store = (report) => storeAttributes(peer, report)
    } else {
      const { url, tokenFile } = archive
      // Read for each request, because the file changes when the token is renewed.
      this.#store = async (report) =>
        stow(url, fileOf(report), tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim())
    }
  }

  /**
   * Delivers the result of an ECG.
   * @returns the reason when the archive refuses it permanently
   * @throws CodedError for an error that a retry may fix
   */
  async send(ecgRow: number): Promise<string | undefined> {
    const { store, config } = this.#options
    const ecg = store.readEcg(ecgRow)
    const result = ecg && resultIn(ecg)
    // Erased meanwhile, or replaced by a newer version before its turn.
    if (ecg === undefined || result === undefined || store.isSuperseded(ecg.envelope)) return undefined
    const { order, visit } = completeAbout(store, config.hl7?.beds ?? {}, ecg)
    const at = new Date(ecg.receivedAtMs)
    const { source } = ecg.about
    try {
      await this.#store(structuredReport({ result, order, visit, source, at, allowsVirtual: config.virtual }))
      return undefined
    } catch (error) {
      const isForGood = error instanceof CodedError && error.code === 'delivery-refused'
      if (!isForGood || isNoRoom(error.detail.status)) throw error
      return String(error.detail.why ?? `status ${error.detail.status}`)
    }
  }
}
