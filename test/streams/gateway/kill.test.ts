import { describe, expect, it } from 'vitest'
import { isWhole, killAtRandom } from './kill.ts'

// A machine that has other things to do takes seconds a start: as many kills as fit. `kill.ts COUNT SEED` runs as many as are wanted.
describe('a gateway under repeated kills and cloud outages', () => {
  it('loses no acknowledged sample and repeats no result', { timeout: 300_000 }, async () => {
    const report = await killAtRandom({ kills: 20, seed: 17, withinS: 25 })

    expect(isWhole(report), JSON.stringify(report)).toBe(true)
    expect(report.kills.gateway).toBeGreaterThan(0)
    expect(report.windows).toBeGreaterThan(0)
  })
})
