import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LEAST_MS, PopulationStore } from '../../../shared/store/population.ts'
import { startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'

const START = new Date('2026-01-02T00:00:00Z')
const NEXT_DAY = new Date(START.getTime() + LEAST_MS)

const POPULATION = 30

let aws: TestAws
let store: PopulationStore
beforeAll(async () => {
  aws = await startTestAws()
})
afterAll(() => aws.stop())
beforeEach(() => {
  store = new PopulationStore(aws.dynamo, TABLE, randomUUID(), POPULATION)
})

const addAll = (count: number, bin: string, at: Date) =>
  Promise.all(Array.from({ length: count }, () => store.add([bin, 'quality_acceptable'], at)))

describe('PopulationStore', () => {
  it('completes a population when it is large enough and a day has passed, then begins the next', async () => {
    await addAll(POPULATION - 10, 'cad_0', START)
    const tooFew = await addAll(9, 'cad_1', NEXT_DAY)
    const [complete] = await addAll(1, 'cad_1', NEXT_DAY)
    const [next] = await addAll(1, 'cad_1', NEXT_DAY)

    expect(tooFew.filter((each) => each !== undefined)).toEqual([])
    expect(complete).toEqual({ cad_0: POPULATION - 10, cad_1: 10, quality_acceptable: POPULATION })
    expect(next).toBeUndefined()
  })

  it('does not complete within the first day, whatever the size', async () => {
    const within = await addAll(POPULATION + 1, 'cad_0', START)

    expect(within.filter((each) => each !== undefined)).toEqual([])
  })

  it('gives the complete population to one of several concurrent writers and loses no update', async () => {
    await addAll(POPULATION, 'cad_0', START)

    const answers = await addAll(20, 'cad_9', NEXT_DAY)

    const given = answers.filter((each) => each !== undefined)
    expect(given.length).toBeLessThanOrEqual(1)
    const [rest] = given.length === 1 ? given : (await addAll(1, 'cad_9', NEXT_DAY)).slice(-1)
    expect(rest!.cad_0).toBe(POPULATION)
  })
})
