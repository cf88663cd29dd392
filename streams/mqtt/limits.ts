/**
 * What one device and one tenant may ask of the adapter, so that none of them takes it from the others. Pure: its clock is an argument.
 *
 * Each rate is a bucket: full at first, and refilled evenly. Its size lets a device catch up after hours out of reach.
 * @module
 */
import type { Topic } from './topics.ts'

interface Rate {
  readonly perSecond: number
  /** So many at once. */
  readonly burst: number
}

/** What is counted, of whom. */
export type LimitName = `${'device' | 'tenant'}-${'frames' | 'sessions' | 'refusals' | 'bytes'}`

export interface Rates {
  readonly frames: Rate
  /** New sessions. */
  readonly sessions: Rate
  /** Refused payloads that are kept and sent to the dead-letter queue; what comes beyond is refused all the same, and only counted. */
  readonly refusals: Rate
}

export interface LimitRates {
  readonly device: Rates
  readonly tenant: Rates
}

/**
 * A live device sends 0.5 to 5 frames/s and one session in hours. One that was away for four hours catches up at once, one that was away for a day in
 * an hour. A tenant's rates are beyond what one adapter takes in, unless there are many tenants.
 */
export const DEFAULT_RATES: LimitRates = {
  device: {
    frames: { perSecond: 50, burst: 30_000 },
    sessions: { perSecond: 0.1, burst: 200 },
    refusals: { perSecond: 0.2, burst: 100 },
  },
  tenant: {
    frames: { perSecond: 5000, burst: 1_000_000 },
    sessions: { perSecond: 20, burst: 20_000 },
    refusals: { perSecond: 5, burst: 2000 },
  },
}

/** How often a device is told that it is beyond a limit. */
const TELLING: Rate = { perSecond: 0.2, burst: 3 }

/** Buckets in memory, some hundred bytes each; beyond it the one that was used least recently is forgotten, and so is full again. */
const MAX_BUCKETS = 50_000

interface Bucket {
  tokens: number
  atMs: number
}

export class Limits {
  readonly #rates: LimitRates
  readonly #monotonic: () => number
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>()
  #heavy: ReadonlySet<string> = new Set()

  constructor(rates: LimitRates, monotonic: () => number) {
    this.#rates = rates
    this.#monotonic = monotonic
  }

  /** Takes one from the device's and from the tenant's bucket. @returns the limit that is reached, or `undefined` */
  take(what: keyof Rates, { tenant, device }: Pick<Topic, 'tenant' | 'device'>): LimitName | undefined {
    // The device first: what it asks in vain must not count against its neighbours.
    if (!this.#draw(`${what} ${tenant}/${device}`, this.#rates.device[what])) return `device-${what}`
    if (!this.#draw(`${what} ${tenant}`, this.#rates.tenant[what])) return `tenant-${what}`
    return undefined
  }

  /** Whose frames hold more of the journal than they may: names of `heavyHolders`. */
  set heavy(names: ReadonlySet<string>) {
    this.#heavy = names
  }

  bytes({ tenant, device }: Pick<Topic, 'tenant' | 'device'>): LimitName | undefined {
    if (this.#heavy.has(`${tenant}/${device}`)) return 'device-bytes'
    return this.#heavy.has(tenant) ? 'tenant-bytes' : undefined
  }

  /** Whether to tell a device once more that it is beyond a limit. */
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

/** Bytes of frames that a device has in the journal. */
export interface Holding {
  readonly tenant: string
  readonly device: string
  readonly bytes: number
}

/** Shares of the journal's limit beyond which a tenant or a device is heavy, where it is not alone. */
const SHARES = { tenant: 0.5, device: 0.25 } as const

/**
 * Who holds so much of the journal that others would suffer. One that is alone is nobody's burden: for it the adapter leaves the broker.
 * @returns tenants, and devices as `tenant/device`
 */
export function heavyHolders(holdings: readonly Holding[], limitBytes: number): ReadonlySet<string> {
  const tenants = new Map<string, number>()
  for (const { tenant, bytes } of holdings) tenants.set(tenant, (tenants.get(tenant) ?? 0) + bytes)
  const heavy = new Set<string>()
  if (tenants.size > 1) {
    for (const [tenant, bytes] of tenants) if (bytes > SHARES.tenant * limitBytes) heavy.add(tenant)
  }
  if (holdings.length > 1) {
    for (const { tenant, device, bytes } of holdings) {
      if (bytes > SHARES.device * limitBytes) heavy.add(`${tenant}/${device}`)
    }
  }
  return heavy
}
