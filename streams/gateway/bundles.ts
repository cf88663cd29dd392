/**
 * The model bundle of a running gateway: which one is active, and how it is replaced without interruption.
 * @module
 */
import { join } from 'node:path'
import { CodedError } from '../../shared/errors.ts'
import { describeError, type Log } from '../../shared/observe/logging.ts'
import { BundleShelf, type ListedBundle, type Trial } from './bundle-shelf.ts'
import type { GatewayConfig } from './config.ts'
import type { Screening, ScreeningSetup, ScreeningThread } from './screening.ts'

/** The shelf is in the same folder as the journal. */
export const shelfOf = ({ data, bundles }: Pick<GatewayConfig, 'data' | 'bundles'>, shipped: ScreeningSetup) =>
  new BundleShelf({ folder: join(data, 'bundles'), keys: bundles.keys, shipped })

export interface BundlesOptions {
  readonly shelf: BundleShelf
  readonly screening: Pick<Screening, 'load' | 'use'>
  readonly logger: Log
}

export class Bundles {
  readonly #options: BundlesOptions
  #active: ListedBundle | undefined
  #isBusy = false

  constructor(options: BundlesOptions) {
    this.#options = options
  }

  /** The active bundle; absent until `list`. */
  get active(): ListedBundle | undefined {
    return this.#active
  }

  async list(): Promise<readonly ListedBundle[]> {
    const all = await this.#options.shelf.list()
    this.#active = all.find(({ isActive }) => isActive)
    return all
  }

  /**
   * Installs a bundle. When that fails, the previous one continues.
   * @throws CodedError those of `BundleShelf.install`
   */
  install(directory: string, siteFile?: string): Promise<ListedBundle> {
    return this.#change((tryOut) => this.#options.shelf.install(directory, tryOut, siteFile))
  }

  /**
   * Returns to the previous bundle.
   * @throws CodedError those of `BundleShelf.rollBack`
   */
  rollBack(): Promise<ListedBundle> {
    return this.#change((tryOut) => this.#options.shelf.rollBack(tryOut))
  }

  async #change(change: (tryOut: Trial) => Promise<ListedBundle>): Promise<ListedBundle> {
    const { screening, logger } = this.#options
    if (this.#isBusy) throw new CodedError('limit-exceeded', { field: 'one change of the bundle at a time' })
    this.#isBusy = true
    let loaded: ScreeningThread | undefined
    try {
      const bundle = await change(async (setup) => {
        loaded = await screening.load(setup)
      })
      if (loaded !== undefined) await screening.use(loaded)
      this.#active = bundle
      logger.info('another model bundle is in use')
      return bundle
    } catch (error) {
      await loaded?.stop()
      logger.error('a model bundle is not taken', describeError(error))
      throw error
    } finally {
      this.#isBusy = false
    }
  }
}
