/** The short form of `npm run attack`: one stack, all attacks. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judge } from './attack/attack.ts'
import { ATTACKS } from './attack/index.ts'
import { SIZES, startWorld, type World } from './attack/world.ts'

let world: World

beforeAll(async () => {
  world = await startWorld(SIZES.short)
}, 240_000)
afterAll(() => world?.stop(), 60_000)

describe('the local stack withstands', { timeout: 180_000 }, () => {
  it.each(ATTACKS.map((attack) => [attack.kind, attack.name, attack] as const))(
    '%s: %s',
    async (_kind, _name, attack) => {
      const { got, expected } = await judge(attack, world)

      expect(got).toBe(expected)
    },
  )
})
