import { expect, it } from 'vitest'
import { Upkeep } from '../../functions/upkeep/upkeep.ts'
import { fileEcgId } from '../../shared/domain/ecg-id.ts'
import type { ResultMessage, UpkeepMessage } from '../../shared/messages.ts'
import type { Unidentified } from '../../shared/store/associations.ts'

const tenant = 'clinic'
const device = 'd1'

/** As many results as wait for one device after months without an association. */
const waiting = Array.from(
  { length: 12_000 },
  (_, i): Unidentified => ({
    device,
    at: new Date(Date.UTC(2026, 0, 1) + 10_000 * i),
    ecgId: fileEcgId({ tenant, sha256: String(i) }),
    origin: { kind: 'mqtt', device, session: 's1' },
  }),
)

it('Upkeep reports each result that an association releases once, in batches of limited size', async () => {
  const reported: ResultMessage[] = []
  const deleted = waiting[7]!.ecgId
  const unlisted: string[] = []
  const queue: UpkeepMessage[] = [
    { schema: 1, kind: 'association', tenant, device, from: waiting[1]!.at.toISOString(), to: null },
  ]
  const upkeep = new Upkeep({
    associations: {
      async *waitingFor(_tenant, _device, { from }, after) {
        const start = after === undefined ? 0 : waiting.findIndex(({ ecgId }) => ecgId === after.ecgId) + 1
        yield* waiting.slice(start).filter(({ at }) => at >= from)
      },
      markReported: async (_, { ecgId }) => void unlisted.push(ecgId),
    },
    deletion: {
      results: { latest: async (_: string, ecgId: string) => (ecgId === deleted ? undefined : ecgId) },
    } as never, // all that is asked of it here
    explain: async () => {},
    publish: async () => {},
    report: async (message) => void reported.push(message),
    goOn: async (message) => void queue.push(message),
  })

  let most = 0
  let messages = 0
  for (let next = queue.shift(); next !== undefined; next = queue.shift(), messages++) {
    const before = reported.length
    await upkeep.handle(next)
    most = Math.max(most, reported.length - before)
  }

  const wanted = waiting.slice(1).filter(({ ecgId }) => ecgId !== deleted)
  expect(reported.map(({ result }) => result)).toEqual(wanted.map(({ ecgId }) => ecgId))
  expect(unlisted).toEqual([deleted])
  expect(most).toBeLessThanOrEqual(2000)
  expect(messages).toBe(6)
})

it('Upkeep publishes a result again only to the device that it came from', async () => {
  const published: ResultMessage[] = []
  const ofDevice: ResultMessage = {
    schema: 1,
    tenant,
    origin: { kind: 'mqtt', device, session: 's1' },
    result: '{"as":"stored"}',
  }
  const stored = new Map<string, ResultMessage>([
    [waiting[0]!.ecgId, ofDevice],
    [waiting[1]!.ecgId, { ...ofDevice, origin: { kind: 'upload', device } }],
  ])
  const upkeep = new Upkeep({
    associations: {} as never, // not asked
    deletion: { results: { message: async (_: string, ecgId: string) => stored.get(ecgId) } } as never, // all that is asked of it here
    explain: async () => {},
    publish: async (message) => void published.push(message),
    report: async () => {},
    goOn: async () => {},
  })

  for (const { ecgId } of waiting.slice(0, 3)) await upkeep.handle({ schema: 1, kind: 'result', tenant, ecgId })

  expect(published).toEqual([ofDevice])
})
