/**
 * Keeps each device and each tenant within the site's limits of the adapter. Pure: its clock is an argument.
 * @module
 */
import { DeviceLimits } from '../../shared/config/device-limits.ts'
import type { Topic } from './topics.ts'

type Rate = DeviceLimits['device']['frames']

/** Quantities that are counted individually. */
type Counted = 'frames' | 'sessions' | 'refusals' | 'results'

/** Counted quantity and its scope. */
export type LimitName = `${'device' | 'tenant'}-${Counted | 'bytes'}`

/** Limits of a site that sets none. */
export const DEFAULT_LIMITS: DeviceLimits = DeviceLimits.parse({})

/** How often a device is told that it exceeds a limit. */
const TELLING: Rate = { perSecond: 0.2, burst: 3 }

/** Most buckets in memory, at some hundred bytes each. Beyond it the least recently used one is dropped, and is then full again. */
const MAX_BUCKETS = 50_000

interface Bucket {
  tokens: number
  atMs: number
}

export class Limits {
  readonly #limits: DeviceLimits
  readonly #monotonic: () => number
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>()
  #heavy: ReadonlySet<string> = new Set()

  constructor(limits: DeviceLimits, monotonic: () => number) {
    this.#limits = limits
    this.#monotonic = monotonic
  }

  /**
   * Takes one token from the device's and from the tenant's bucket.
   * @returns the limit that is reached, or `undefined`
   */
  take(what: Counted, { tenant, device }: Pick<Topic, 'tenant' | 'device'>): LimitName | undefined {
    // The device first, so that its refused requests do not count against its tenant.
    if (!this.#draw(`${what} ${tenant}/${device}`, this.#limits.device[what])) return `device-${what}`
    if (!this.#draw(`${what} ${tenant}`, this.#limits.tenant[what])) return `tenant-${what}`
    return undefined
  }

  /** For a journal that is filling up: determines whose frames exceed their share of it, until the next call. */
  weigh(holdings: readonly Holding[], limitBytes: number): void {
    this.#heavy = heavyHolders(holdings, limitBytes, this.#limits)
  }

  bytes({ tenant, device }: Pick<Topic, 'tenant' | 'device'>): LimitName | undefined {
    if (this.#heavy.has(`${tenant}/${device}`)) return 'device-bytes'
    return this.#heavy.has(tenant) ? 'tenant-bytes' : undefined
  }

  /** Whether to tell a device again that it exceeds a limit. */
  mayTell(limit: LimitName, { tenant, device }: Pick<Topic, 'tenant' | 'device'>): boolean {
    return this.#draw(`tell ${limit} ${tenant}/${device}`, TELLING)
  }

  #draw(name: string, { perSecond, burst }: Rate): boolean {
    const nowMs = this.#monotonic()
    const bucket = this.#buckets.get(name) ?? { tokens: burst, atMs: nowMs }
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * perSecond)
    bucket.atMs = nowMs
    this.#buckets.delete(name)
    this.#buckets.set(name, bucket)
    if (this.#buckets.size > MAX_BUCKETS) this.#buckets.delete(this.#buckets.keys().next().value!)
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }
}

/** Bytes of a device's frames in the journal. */
export interface Holding {
  readonly tenant: string
  readonly device: string
  readonly bytes: number
}

/**
 * Holders whose share of the journal would harm others. A single holder harms nobody; in that case the adapter leaves the broker.
 * @returns tenants, and devices as `tenant/device`
 */
export function heavyHolders(
  holdings: readonly Holding[],
  limitBytes: number,
  { device: { journalShare: ofDevice }, tenant: { journalShare: ofTenant } }: DeviceLimits,
): ReadonlySet<string> {
  const tenants = new Map<string, number>()
  for (const { tenant, bytes } of holdings) tenants.set(tenant, (tenants.get(tenant) ?? 0) + bytes)
  const heavy = new Set<string>()
  if (tenants.size > 1) {
    for (const [tenant, bytes] of tenants) if (bytes > ofTenant * limitBytes) heavy.add(tenant)
  }
  if (holdings.length > 1) {
    for (const { tenant, device, bytes } of holdings) {
      if (bytes > ofDevice * limitBytes) heavy.add(`${tenant}/${device}`)
    }
  }
  return heavy
}
