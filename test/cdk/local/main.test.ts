import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openAsBlob, readFileSync, statSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Result } from '../../../shared/domain/result.ts'
import { encodeWaveform } from '../../../shared/waveform/codec.ts'
import { readRecording } from '../../../streams/formats/index.ts'
import { packedBody } from '../../../streams/gateway/recordings.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { readEvents } from '../../functions/api/helpers.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { Lines } from '../helpers/assembly.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const DEMO = join(ROOT, 'functions/cli/demo/virtual-ecg.hea')

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

describe('npm start', () => {
  it('publishes the CLI’s results for a streamed ECG on MQTT and the API, and stops on Ctrl-C', async () => {
    const data = temporaryFolder()
    const recording = await readRecording(DEMO)
    const { child, output } = start('--no-demo', '--port', '0', '--mqtt-port', '0', '--fhir-port', '0', '--data', data)
    const lines = await output.until((all) => all.some((line) => line.includes('Ctrl-C stops it')))
    const address = (name: string) => /\w+:\/\/\S+/.exec(lines.find((line) => line.includes(` ${name} `))!)![0]
    const [url, mqttUrl] = [address('API'), address('MQTT')]

    const health = await fetch(`${url}/healthz`)
    const link = await DeviceLink.open({ url: mqttUrl, version: 4 })
    const results: Result[] = []
    const { windows } = await streamRecording(recording, {
      link,
      tenant: 'local',
      device: 'd1',
      speed: Infinity,
      onResult: (result) => results.push(result),
    })
    await link.close()
    const list = await fetch(`${url}/v1/ecgs`)
    const events = await fetch(`${url}/v1/events`, { headers: { accept: 'text/event-stream' } })
    const telling = readEvents(events, 1)
    const form = new FormData()
    for (const end of ['.hea', '.dat'])
      form.append('file', await openAsBlob(DEMO.replace('.hea', end)), `virtual-ecg${end}`)
    const upload = await fetch(`${url}/v1/ecgs`, { method: 'POST', body: form })
    const [told] = await telling
    const demo = ['functions/cli/main.ts', 'fhir', 'demo', '--site', join(data, 'site.json'), '--json']
    const { stdout: demonstrated } = await promisify(execFile)(process.execPath, demo, { cwd: ROOT })
    const uploaded = await fetch(`${url}${upload.headers.get('location')}`)
    child.kill('SIGINT')
    child.kill('SIGINT') // npm passes on what the terminal has sent already
    const [code] = await once(child, 'exit')

    expect(health.status).toBe(200)
    expect(windows.length).toBeGreaterThan(0)
    expect(windows.map(({ results }) => results)).toEqual(windows.map(() => 1))
    const cli = ['functions/cli/main.ts', 'screen', DEMO, '--json', '--no-person']
    const { findings, indices, quality }: Result = JSON.parse(
      execFileSync(process.execPath, cli, { cwd: ROOT, encoding: 'utf8' }),
    )
    expect(results).toMatchObject([{ findings, indices, quality }])
    const { items } = JSON.parse(await list.text())
    expect(items.map((item: { ecgId: string }) => item.ecgId).sort()).toEqual(windows.map(({ ecgId }) => ecgId).sort())
    expect(upload.status).toBe(202)
    expect(upload.headers.get('location')).toBe(`/v1/ecgs/${told!.data.ecgId}`)
    expect(await uploaded.json()).toMatchObject({ quality: { verdict: quality.verdict }, status: 'screened' })
    const { trips } = JSON.parse(demonstrated)
    expect(trips).toMatchObject([{ report: { resourceType: 'DiagnosticReport', status: 'preliminary' } }])
    expect(code).toBe(0)
    const outputs = JSON.parse(readFileSync(join(data, 'outputs.json'), 'utf8'))
    expect(outputs).toMatchObject({ CardiacNets: { ApiUrl: url, IntakeDlqUrl: expect.stringContaining('intake-dlq') } })
  }, 120_000)

  it('stores a correction as the next version of its ECG, with the rights of the functions', async () => {
    const ports = ['--port', '0', '--mqtt-port', '0', '--fhir-port', '0']
    const { output } = start('--no-demo', ...ports, '--data', temporaryFolder())
    const lines = await output.until((all) => all.some((line) => line.includes('Ctrl-C stops it')))
    const url = /\w+:\/\/\S+/.exec(lines.find((line) => line.includes(' API '))!)![0]
    const of = { tenant: 'local', device: 'd1', session: 's1' } as const
    const ecgId = streamEcgId({ ...of, source: 'mqtt', firstSample: 0 })
    const recording = syntheticRecording({ gainUv: 5 })
    const send = async (version: number) => {
      const query = new URLSearchParams({ format: 'json', device: 'd1', session: 's1', firstSample: '0' })
      if (version > 1) query.set('version', String(version))
      const envelope = { span: { startedAt: '2026-01-02T03:04:05.000Z', firstSample: 0, durationMs: 10_000 } }
      const body = packedBody(
        { ...envelope, schema: 1, tenant: 'local', origin: { kind: 'mqtt', ...of } },
        encodeWaveform(recording),
      )
      await fetch(`${url}/v1/ecgs?${query}`, { method: 'POST', body })
      for (;;) {
        const answer = await fetch(`${url}/v1/ecgs/${ecgId}?version=${version}`)
        if (answer.status === 200) return (await answer.json()) as Result
        await answer.body?.cancel()
        await sleep(50)
      }
    }

    const [first, second] = [await send(1), await send(2)]

    expect([first.version, second.version, second.supersedes]).toEqual([1, 2, 1])
    expect(second.findings).toEqual(first.findings)
  }, 60_000)

  it('creates a data folder that only this user can read, independent of the umask', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const { port } = other.address() as AddressInfo // it listens on a port
    const data = join(temporaryFolder(), 'data')

    // It ends at once, but after it created the folder.
    const { child } = start('--port', String(port), '--fhir-port', '0', '--data', data)
    await once(child, 'close')

    expect(statSync(data).mode & 0o077).toBe(0)
  })

  it('names a taken port in one line and ends', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    onTestFinished(() => void other.close())
    const address = other.address()
    const port = typeof address === 'object' ? address!.port : 0

    const { child, output } = start('--port', String(port), '--fhir-port', '0', '--data', temporaryFolder())
    const [code] = await once(child, 'close')

    expect(code).toBe(1)
    expect(output.all).toEqual([`port ${port} (API) is taken: stop what listens there, or pass --port with another`])
  })
})
