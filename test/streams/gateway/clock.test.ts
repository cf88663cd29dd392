import { expect, it } from 'vitest'
import { TrustedClock } from '../../../streams/gateway/clock.ts'

const DAY_MS = 24 * 3_600_000
const NOW = Date.UTC(2026, 5, 1)

it('TrustedClock gives functions that work without it as `this`', () => {
  const { now, monotonic } = new TrustedClock(
    undefined,
    () => 5,
    () => 7,
  )

  expect([now(), monotonic()]).toEqual([5, 7])
})

it.each([
  ['before the first release', Date.UTC(1970, 0, 1), undefined],
  ['before the newest journal entry', NOW - DAY_MS, NOW],
])('TrustedClock distrusts a clock that starts %s', (_, nowMs, newestMs) => {
  expect(
    new TrustedClock(
      newestMs,
      () => nowMs,
      () => 1e9,
    ).isTrusted,
  ).toBe(false)
})

it('TrustedClock distrusts a clock for ten minutes after it jumps by a year', () => {
  let [wall, ticks] = [NOW, 1e9]
  const clock = new TrustedClock(
    undefined,
    () => wall,
    () => ticks,
  )
  const pass = (ms: number) => {
    wall += ms
    ticks += ms
  }
  const before = clock.isTrusted

  wall += 365 * DAY_MS
  const jumped = clock.isTrusted
  pass(9 * 60_000)
  const later = clock.isTrusted
  pass(2 * 60_000)

  expect([before, jumped, later, clock.isTrusted]).toEqual([true, false, false, true])
})
