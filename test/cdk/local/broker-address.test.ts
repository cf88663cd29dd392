import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { exitCodeOf, parseBroker, reachBroker, wordsOf } from '../../../cdk/local/start-fault.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

describe('a broker address', () => {
  it.each(['http://127.0.0.1:1883', '127.0.0.1:1883', 'mqtt:', 'broker'])('cannot be %s', (address) => {
    expect(() => parseBroker(address)).toThrow('a broker is named as mqtt://HOST:PORT, mqtts://, ws:// or wss://')
  })

  it('ends npm start with 2 when it is not an MQTT address', async () => {
    const args = ['cdk/local/main.ts', '--broker', 'http://127.0.0.1:1883']
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] })
    onTestFinished(() => void child.kill('SIGKILL'))

    const [[code], said] = await Promise.all([once(child, 'exit'), text(child.stderr)])

    expect(said).toContain('a broker is named as mqtt://HOST:PORT')
    expect(code).toBe(2)
  }, 60_000)

  it('causes exit code 4 and an error with the address when nothing listens', async () => {
    const port = await freePort()

    const error = await reachBroker(`mqtt://127.0.0.1:${port}`, 300).catch((fault: unknown) => fault)

    expect(wordsOf(error)).toBe(
      `A service cannot be reached: --broker at mqtt://127.0.0.1:${port} (ECONNREFUSED). Check its address and that it runs, then try again. [unavailable]`,
    )
    expect(exitCodeOf(error)).toBe(4)
  })

  it('is retried until the broker listens', async () => {
    const port = await freePort()
    const server = createServer((socket) => socket.destroy())

    const reaching = reachBroker(`mqtt://127.0.0.1:${port}`)
    server.listen(port, '127.0.0.1')
    onTestFinished(() => void server.close())

    await expect(reaching).resolves.toBeUndefined()
  })
})
