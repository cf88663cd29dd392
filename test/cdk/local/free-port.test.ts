import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { listen } from '../../../cdk/local/http.ts'

/** The system's own are above. */
const [END] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number)

/** These numbers first, then chance: their ports may be in use. */
const first = (...shares: number[]) => ({ shares, random: () => shares.shift() ?? Math.random() })

it('is none that the system gives to another server or a connection before it is used', async () => {
  const ports = await Promise.all([0, 0.5, 1 - Number.EPSILON].map((share) => freePort(first(share).random)))

  expect(Math.max(...ports)).toBeLessThan(END!)
})

it('is none on which a server listens', async () => {
  const taken = await freePort()
  const other = createServer()
  await listen(other, taken)
  onTestFinished(() => void other.close())
  const { shares, random } = first((taken + 0.5 - 10_240) / (END! - 10_240))

  const port = await freePort(random)

  expect(shares).toEqual([])
  expect(port).not.toBe(taken)
})
