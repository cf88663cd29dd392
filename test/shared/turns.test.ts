import { expect, it } from 'vitest'
import { Turns } from '../../shared/turns.ts'

/** Longer than any timer of 0 ms takes. */
const COMPUTATION_MS = 5

function compute(): void {
  const endMs = performance.now() + COMPUTATION_MS
  while (performance.now() < endMs);
}

it('serves what a computation started before the next computation, in the order of the calls', async () => {
  const turns = new Turns()
  const order: string[] = []

  // All are ready at the same moment, as the messages of a batch are.
  await Promise.all(
    ['first', 'second', 'third'].map(async (name) => {
      await turns.next()
      setTimeout(() => order.push(`${name} sent`), 0)
      compute()
      order.push(`${name} computed`)
    }),
  )

  expect(order).toEqual(['first computed', 'first sent', 'second computed', 'second sent', 'third computed'])
})

it('gives a turn after a computation that failed', async () => {
  const turns = new Turns()
  const failed = turns.next().then(() => Promise.reject(new Error('not a window')))

  await expect(failed).rejects.toThrow('not a window')

  await expect(turns.next()).resolves.toBeUndefined()
})
