import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { storeFile } from '../../../streams/dicom/scu.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { waveformGroup, writeDicom } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeMuse } from '../../helpers/xml-writers.ts'
import { RawPeer, waveOru } from '../hl7/helpers.ts'
import { until } from './helpers.ts'
import { type GatewayProcess, startGatewayProcess } from './process.ts'

const hasPrlimit = spawnSync('prlimit', ['--version']).error === undefined
const NO_PRLIMIT = hasPrlimit ? '' : ' (skipped: no prlimit; Debian package util-linux)'

let folder: string
let gateway: GatewayProcess | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unwritable-'))
})
afterEach(async () => {
  await gateway?.kill()
  gateway = undefined
  rmSync(folder, { recursive: true, force: true })
})

const ecg = (heartRateBpm: number) => syntheticRecording({ gainUv: 5, heartRateBpm })

describe.skipIf(!hasPrlimit)(`an unwritable disk under a running gateway${NO_PRLIMIT}`, () => {
  it('is reported by every listener, does not end the process, and loses nothing acknowledged', {
    timeout: 240_000,
  }, async () => {
    const inbox = join(folder, 'inbox')
    mkdirSync(inbox)
    const file = join(folder, 'gateway.json')
    const config = {
      data: 'data',
      mqtt: { port: await freePort() },
      hl7: { port: 0 },
      dicom: { port: 0, allow: ['CARDIACNETS'] },
      folder: { watch: 'inbox' },
      status: { port: 0 },
    }
    writeFileSync(file, JSON.stringify(config))
    const running = await startGatewayProcess(file)
    gateway = running
    const { ports, pid } = running
    /** As a file system that became read-only: every write of the process fails. What it has open stays open. */
    const disk = (bytes: '0' | 'unlimited') => execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
    const look = async (path: string) => fetch(`http://127.0.0.1:${ports.status}${path}`)
    const healthz = async () => (await look('/healthz')).status
    const results = async () => ((await (await look('/v1/ecgs')).json()) as unknown[]).length
    const ask = async (rate: number) => {
      const peer = await RawPeer.connect(ports.hl7)
      peer.send(waveOru(ecg(rate)))
      const answer = parseMessage(Buffer.from((await peer.answer())!))
      peer.close()
      return [answer.first('MSA')!.text(1), answer.first('ERR')?.text(5)]
    }
    const instance = join(folder, 'ecg.dcm')
    writeFileSync(
      instance,
      writeDicom([
        [0x0008_0016, 'UI', '1.2.840.10008.5.1.4.1.1.9.1.1\0'],
        [0x0008_0018, 'UI', '1.2.826.0.1.3680043.10.1.2'],
        [0x5400_0100, 'SQ', [waveformGroup(ecg(64))]],
      ]).bytes,
    )
    const send = () =>
      storeFile({ host: '127.0.0.1', port: ports.dicom, calling: 'CARDIACNETS', called: 'CARDIACNETS' }, instance)
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${ports.mqtt}`, version: 4 })
    const ending = new AbortController()
    const streaming = streamRecording(syntheticRecording({ seconds: 7.31, gainUv: 5 }), {
      link,
      tenant: 'local',
      device: 'd1',
      speed: 5,
      loop: true,
      signal: ending.signal,
      resultTimeoutMs: 90_000,
    })

    expect(await ask(60)).toEqual(['AA', undefined])
    await until(results, (count) => count >= 2)
    disk('0')
    await until(healthz, (status) => status === 503)
    const whileClosed = { hl7: await ask(61), dicom: await send().catch((error: unknown) => error) }
    writeFileSync(join(inbox, 'ecg.xml'), writeMuse(ecg(66)).bytes)
    const refusals = async () => (await (await look('/metrics')).text()).includes('reason="folder/disk-full"')
    await until(refusals, Boolean)
    const before = await results()
    disk('unlimited')
    await until(healthz, (status) => status === 200)

    expect(whileClosed.hl7).toEqual(['AE', 'disk-full'])
    expect(whileClosed.dicom).toMatchObject({ code: 'delivery-refused', detail: { status: 0xa700 } })
    expect(before).toBeGreaterThanOrEqual(2)
    expect([await ask(61), await send()]).toEqual([['AA', undefined], 0])
    await until(
      () => existsSync(join(inbox, 'done', 'ecg.xml')),
      (isDone) => isDone,
    )
    ending.abort()
    const { windows } = await streaming
    expect(windows.length).toBeGreaterThan(0)
    expect(windows.filter(({ results: count }) => count !== 1)).toEqual([])
    expect(running.hasEnded).toBe(false)
    await link.close()
  })
})
