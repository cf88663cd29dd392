import { describe, expect, it } from 'vitest'
import { DeviceLimits } from '../../../shared/config/device-limits.ts'
import { DEFAULT_LIMITS, heavyHolders, Limits } from '../../../streams/mqtt/limits.ts'

const rates = (device: number, tenant: number): DeviceLimits => {
  const of = (burst: number) => ({ perSecond: 1, burst })
  const all = (burst: number) => ({ frames: of(burst), sessions: of(burst), refusals: of(burst) })
  return DeviceLimits.parse({ device: all(device), tenant: all(tenant) })
}

const d1 = { tenant: 'clinic', device: 'd1' }
const d2 = { tenant: 'clinic', device: 'd2' }
const other = { tenant: 'ward', device: 'd1' }

describe('Limits', () => {
  it('grants a device its burst, then its refill over time', () => {
    let nowMs = 0
    const limits = new Limits(rates(3, 100), () => nowMs)
    const take = () => limits.take('frames', d1)

    const burst = [take(), take(), take(), take()]
    nowMs += 2000
    const later = [take(), take(), take()]

    expect(burst).toEqual([undefined, undefined, undefined, 'device-frames'])
    expect(later).toEqual([undefined, undefined, 'device-frames'])
  })

  it('leaves the share of a refused device to its neighbours, and limits the tenant', () => {
    const limits = new Limits(rates(3, 5), () => 0)

    const flood = Array.from({ length: 100 }, () => limits.take('sessions', d1))
    const neighbour = Array.from({ length: 3 }, () => limits.take('sessions', d2))
    const elsewhere = limits.take('sessions', other)

    expect(flood.filter((limit) => limit === undefined)).toHaveLength(3)
    expect(neighbour).toEqual([undefined, undefined, 'tenant-sessions'])
    expect(elsewhere).toBeUndefined()
  })

  it('refuses frames only from the sender above its limit', () => {
    const limits = new Limits(rates(3, 5), () => 0)

    const holdings = [
      { ...d1, bytes: 30 },
      { ...d2, bytes: 5 },
      { ...other, bytes: 60 },
    ]
    limits.weigh(holdings, 100)

    expect([d1, d2, other].map((topic) => limits.bytes(topic))).toEqual(['device-bytes', undefined, 'device-bytes'])
    limits.weigh([], 100)
    expect(limits.bytes(d1)).toBeUndefined()
  })

  it('notifies a device at intervals', () => {
    let nowMs = 0
    const limits = new Limits(rates(3, 5), () => nowMs)

    const told = Array.from({ length: 600 }, () => {
      nowMs += 100
      return limits.mayTell('device-frames', d1)
    })

    expect(told.filter(Boolean).length).toBeLessThan(20)
    expect(told[0]).toBe(true)
  })
})

describe('heavyHolders', () => {
  it('names devices whose share harms others', () => {
    const holdings = [
      { ...d1, bytes: 30 },
      { ...d2, bytes: 25 },
      { ...other, bytes: 1 },
    ]

    expect(heavyHolders(holdings, 100, DEFAULT_LIMITS)).toEqual(new Set(['clinic', 'clinic/d1']))
  })

  it('uses the shares that a site sets', () => {
    const holdings = [
      { ...d1, bytes: 30 },
      { ...other, bytes: 1 },
    ]
    const generous = DeviceLimits.parse({ device: { journalShare: 0.4 } })
    const strict = DeviceLimits.parse({ tenant: { journalShare: 0.2 } })

    expect(heavyHolders(holdings, 100, generous)).toEqual(new Set())
    expect(heavyHolders(holdings, 100, strict)).toEqual(new Set(['clinic', 'clinic/d1']))
  })

  it('names none when one device is alone', () => {
    expect(heavyHolders([{ ...d1, bytes: 1000 }], 100, DEFAULT_LIMITS)).toEqual(new Set())
  })
})
