import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storeFile } from '../../../streams/dicom/scu.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { waveformGroup, writeDicom } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeMuse } from '../../helpers/xml-writers.ts'
import { adt, RawPeer, waveOru } from '../hl7/helpers.ts'
import { startTestGateway, until } from './helpers.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'privacy-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const MAIN = resolve(import.meta.dirname, '../../../streams/gateway/main.ts')
const ecg = (heartRateBpm: number) => syntheticRecording({ gainUv: 5, heartRateBpm })

/** Personal data at each listener, which must not appear in anything that the gateway itself shows. */
const MARKERS = ['MARK-PATIENT', 'MARK-NAME', 'MARK-ORDER', 'MARK-FILE', 'MARK-BED', 'MARK-BAD', 'MARK-TITLE'] as const

describe('personal data in the gateway', () => {
  it('pass every listener without appearing in a log, metric, status or page', { timeout: 120_000 }, async () => {
    const config = {
      data: 'data',
      mqtt: { port: 0 },
      hl7: { port: 0 },
      dicom: { port: 0, allow: ['CARDIACNETS'] },
      folder: { watch: 'inbox' },
      status: { port: 0 },
    }
    mkdirSync(join(folder, 'inbox'))
    writeFileSync(
      join(folder, 'inbox', 'MARK-FILE_Jane.xml'),
      writeMuse(ecg(60), { person: '<PatientID>MARK-PATIENT</PatientID>' }).bytes,
    )
    writeFileSync(join(folder, 'inbox', 'MARK-FILE_Joe.txt'), 'MARK-BAD is no ECG')
    writeFileSync(join(folder, 'gateway.json'), JSON.stringify(config))
    const child = spawn(process.execPath, [MAIN, join(folder, 'gateway.json')], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const output of [child.stdout, child.stderr]) output.on('data', (chunk) => (said += String(chunk)))
    // The line may arrive in two pieces.
    const ports = JSON.parse(
      await until(
        () => /gateway ready: (\{.*?\})/.exec(said)?.[1] ?? '',
        (found) => found !== '',
      ),
    ) as Record<'mqtt' | 'hl7' | 'dicom' | 'status', number>
    const look = async (path: string) => (await fetch(`http://127.0.0.1:${ports.status}${path}`)).text()
    const marked = (message: Buffer) =>
      Buffer.from(
        message
          .toString()
          .replaceAll('4711', 'MARK-PATIENT')
          .replaceAll('PLACER-1', 'MARK-ORDER')
          .replaceAll('ICU^01^A', 'ICU^MARK-BED^A')
          .replace('PID|1|', 'PID|1|MARK-NAME'),
      )

    const peer = await RawPeer.connect(ports.hl7)
    const broken = waveOru(ecg(61)).toString().replaceAll('MDC_ECG_ELEC_POTL_', 'MARK-BAD')
    for (const message of [adt('A01', { at: '20260101000000' }), waveOru(ecg(62)), Buffer.from(broken)]) {
      peer.send(marked(message))
      await peer.answer()
    }
    peer.send(Buffer.from('MSH|^~\\&|MARK-NAME|MARK-BAD'))
    await peer.answer()
    peer.close()
    for (const [name, elements] of [
      ['good', [[0x5400_0100, 'SQ', [waveformGroup(ecg(64))]]]],
      ['bad', [[0x0008_1030, 'LO', 'MARK-BAD']]],
    ] as const) {
      const path = join(folder, `${name}.dcm`)
      writeFileSync(
        path,
        writeDicom([
          [0x0008_0016, 'UI', '1.2.840.10008.5.1.4.1.1.9.1.1\0'],
          [0x0008_0018, 'UI', `1.2.826.0.1.3680043.10.1.${name.length}`],
          [0x0010_0010, 'PN', 'MARK-NAME^Jane'],
          [0x0010_0020, 'LO', 'MARK-PATIENT'],
          ...elements,
        ]).bytes,
      )
      const to = { host: '127.0.0.1', port: ports.dicom, calling: 'CARDIACNETS', called: 'CARDIACNETS' }
      await storeFile(to, path).catch(() => {})
    }
    await storeFile(
      { host: '127.0.0.1', port: ports.dicom, calling: 'MARK-TITLE', called: 'CARDIACNETS' },
      join(folder, 'good.dcm'),
    ).catch(() => {})
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${ports.mqtt}`, version: 4 })
    await link.publish('ecg/v1/local/d1/frames', Buffer.from('MARK-BAD'), 'application/json')
    await streamRecording(ecg(66), { link, tenant: 'local', device: 'd1', speed: Number.POSITIVE_INFINITY })
    await link.close()
    await until(
      () => readdirSync(join(folder, 'inbox', 'done')).length + readdirSync(join(folder, 'inbox', 'rejected')).length,
      (count) => count >= 4,
    )

    // The log's reader closes: the gateway must continue although it still logs.
    for (const output of [child.stdout, child.stderr]) output.destroy()
    const late = await RawPeer.connect(ports.hl7)
    late.send(Buffer.from('MSH|^~\\&|MARK-NAME'))
    await late.answer()
    late.close()
    const shown = await Promise.all(['/status', '/metrics', '/', '/v1/ecgs', '/healthz'].map(look))
    child.kill('SIGTERM')
    await once(child, 'exit')

    const metrics = shown[1]!
    for (const door of ['mqtt', 'hl7', 'dicom', 'folder']) {
      expect(metrics).toMatch(new RegExp(`ecgs_received_total\\{door="${door}"\\} [1-9]`))
    }
    for (const door of ['hl7', 'dicom', 'folder', 'mqtt']) expect(metrics).toContain(`reason="${door}/`)
    for (const marker of MARKERS)
      expect([marker, [said, ...shown].some((text) => text.includes(marker))]).toEqual([marker, false])
  })

  it('are erased with the patient’s files and everything read from them', async () => {
    const ward = await startTestGateway()
    const of = (id: string, rate: number) => writeMuse(ecg(rate), { person: `<PatientID>${id}</PatientID>` }).bytes
    writeFileSync(join(ward.inbox, 'a.xml'), of('MARK-4711', 60))
    writeFileSync(join(ward.inbox, 'b.xml'), of('MARK-47110', 70))
    writeFileSync(join(ward.inbox, 'c.txt'), 'no ECG, but of MARK-4711')
    await until(
      () => [...readdirSync(join(ward.inbox, 'done')), ...readdirSync(join(ward.inbox, 'rejected'))].length,
      (count) => count === 6,
    )

    const answer = await ward.post('/erase', { patient: 'MARK-4711' })

    expect(await answer.json()).toEqual({ erased: 1 })
    expect(readdirSync(join(ward.inbox, 'done')).toSorted()).toEqual(['b.xml', 'b.xml.result.json'])
    expect(readdirSync(join(ward.inbox, 'rejected'))).toEqual([])
    await ward.gateway.stop()
    const left = readdirSync(join(ward.folder, 'data')).map((name) => readFileSync(join(ward.folder, 'data', name)))
    expect(left.some((bytes) => bytes.includes('MARK-4711'))).toBe(false)
    await ward.end()
  })
})
