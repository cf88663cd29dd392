import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Lines } from '../helpers/assembly.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

/** `npm start -- ARGS`, without npm. */
function start(...args: readonly string[]): { readonly child: ChildProcess; readonly output: Lines } {
  const child = spawn(process.execPath, ['cdk/local/main.ts', ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output = new Lines()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => output.add(line))
  }
  return { child, output }
}

const dataDir = () => mkdtempSync(join(tmpdir(), 'local-'))

describe('npm start', () => {
  it('brings the real functions up, answers, and stops cleanly on Ctrl-C', async () => {
    const data = dataDir()
    const { child, output } = start('--no-demo', '--port', '0', '--mqtt-port', '0', '--data', data)
    const lines = await output.until((all) => all.some((line) => line.includes('Ctrl-C stops it')))
    const url = /http:\S+/.exec(lines.find((line) => line.includes('API'))!)![0]

    const health = await fetch(`${url}/healthz`)
    const list = await fetch(`${url}/v1/ecgs`)
    child.kill('SIGINT')
    child.kill('SIGINT') // npm passes on what the terminal has sent already
    const [code] = await once(child, 'exit')

    expect(health.status).toBe(200)
    expect(await list.json()).toEqual({ items: [] })
    expect(code).toBe(0)
    const outputs = JSON.parse(readFileSync(join(data, 'outputs.json'), 'utf8'))
    expect(outputs).toMatchObject({ CardiacNets: { ApiUrl: url, IntakeDlqUrl: expect.stringContaining('intake-dlq') } })
  })

  it('says in one line which port is taken, and ends', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' ? address!.port : 0

    const { child, output } = start('--port', String(port), '--data', dataDir())
    const [code] = await once(child, 'close')

    expect(code).toBe(1)
    expect(output.all).toEqual([`port ${port} (API) is taken: stop what listens there, or pass --port with another`])
  })
})
