import { expect, it } from 'vitest'
import { killGateway } from './kill.ts'

it('a gateway that is killed at random loses nothing that it acknowledged and doubles nothing', {
  timeout: 300_000,
}, async () => {
  const report = await killGateway({ kills: 3, seed: 7 })

  expect(report).toMatchObject({ withoutResult: 0, withDifferentResults: 0, inCloud: report.windows })
  expect(report.windows).toBeGreaterThan(0)
})
