import { beforeEach, describe, expect, it } from 'vitest'
import { ListeningClock, STALL_MS } from '../../../streams/mqtt/listening.ts'

describe('ListeningClock', () => {
  let nowMs: number
  let clock: ListeningClock

  /** The process runs, and looks at the clock. */
  const run = (ms: number, heard: readonly string[] = ['a', 'b']) => {
    for (let left = ms; left > 0; left -= 1000) {
      nowMs += Math.min(left, 1000)
      for (const connection of heard) clock.heard(connection)
      clock.now()
    }
  }

  beforeEach(() => {
    nowMs = 0
    clock = new ListeningClock(['a', 'b'], () => nowMs)
  })

  it('runs while all connections are up', () => {
    run(5000)
    clock.up('a')
    run(5000)
    clock.up('b')
    run(7000)

    expect(clock.now()).toBe(7000)
  })

  it('stops while one connection is down', () => {
    clock.up('a')
    clock.up('b')
    run(3000)
    clock.down('b')
    run(60_000)
    clock.up('b')
    run(2000)

    expect(clock.now()).toBe(5000)
  })

  it('does not count a stall of the process', () => {
    clock.up('a')
    clock.up('b')
    run(3000)
    nowMs += STALL_MS + 1
    const after = clock.now()

    expect(after).toBe(3000)
  })

  it('does not count time on a connection that later proves dead', () => {
    clock.up('a')
    clock.up('b')
    run(3000)
    run(20_000, ['a'])
    const unproven = clock.now()
    clock.down('b')
    clock.up('b')
    run(1000)

    expect(unproven).toBe(3000)
    expect(clock.now()).toBe(4000)
  })

  it('counts silence once the connection is proven alive', () => {
    clock.up('a')
    clock.up('b')
    run(15_000, [])
    clock.heard('a')
    clock.heard('b')

    expect(clock.now()).toBe(15_000)
  })

  it('reports each return to listening once', () => {
    clock.up('a')
    const early = clock.takeReturn()
    clock.up('b')
    const first = [clock.takeReturn(), clock.takeReturn()]
    nowMs += STALL_MS + 1
    const stalled = [clock.takeReturn(), clock.takeReturn()]
    clock.down('a')
    const away = clock.takeReturn()
    clock.up('a')
    const back = clock.takeReturn()

    expect([early, ...first, ...stalled, away, back]).toEqual([false, true, false, true, false, false, true])
  })
})
