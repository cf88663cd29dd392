import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { connect as connectTls } from 'node:tls'
import dimse from 'dcmjs-dimse'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { storeFile } from '../../../streams/dicom/scu.ts'
import { guardOf, isEndingSoon, openDoor } from '../../../streams/gateway/door-server.ts'
import { FolderDoor } from '../../../streams/gateway/folder-door.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import { Authority, HAS_OPENSSL, NO_OPENSSL } from '../../helpers/certificates.ts'
import { waveformGroup, writeDicom } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeMuse } from '../../helpers/xml-writers.ts'
import { adt, bytesOf, header, RawPeer, waveOru } from '../hl7/helpers.ts'
import { startTestGateway, until } from './helpers.ts'
import { startGatewayProcess } from './process.ts'

const ECG = syntheticRecording({ gainUv: 5 })

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bad-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('an interrupted C-STORE', () => {
  it('stores nothing, and the instance is accepted when it is sent again', async () => {
    const ward = await startTestGateway({ dicom: { port: 0, allow: ['CARDIACNETS'] } })
    const path = join(folder, 'ecg.dcm')
    const elements = [
      [0x0008_0016, 'UI', '1.2.840.10008.5.1.4.1.1.9.1.1\0'],
      [0x0008_0018, 'UI', '1.2.826.0.1.3680043.10.1.2'],
      [0x5400_0100, 'SQ', [waveformGroup(ECG)]],
    ] as const
    writeFileSync(path, writeDicom(elements).bytes)
    // A proxy that passes this number of bytes and then closes both sides.
    let left = 40_000
    const broken = createServer((client) => {
      const server = connect(ward.gateway.ports.dicom!, '127.0.0.1')
      for (const socket of [client, server]) socket.on('error', () => {})
      server.pipe(client)
      client.on('data', (chunk: Buffer) => {
        left -= chunk.length
        if (left > 0) server.write(chunk)
        else for (const socket of [client, server]) socket.destroy()
      })
    }).listen(0, '127.0.0.1')
    await once(broken, 'listening')
    const { port } = broken.address() as { port: number }
    const peer = { host: '127.0.0.1', calling: 'CARDIACNETS', called: 'CARDIACNETS' }

    await expect(storeFile({ ...peer, port }, path)).rejects.toMatchObject({ code: 'unavailable' })
    const afterBreak = await ward.metric('ecgs_received_total')
    const status = await storeFile({ ...peer, port: ward.gateway.ports.dicom! }, path)

    expect([afterBreak, status]).toEqual([0, 0])
    await until(
      () => ward.results(),
      (results) => results.length === 1,
    )
    broken.close()
    await ward.end()
  })
})

describe('contradictory identifiers', () => {
  it('in a DICOM instance and its request cause a coded status, and nothing is stored', async () => {
    const ward = await startTestGateway({ dicom: { port: 0, allow: ['CARDIACNETS'] } })
    const { bytes } = writeDicom([
      [0x0008_0016, 'UI', '1.2.840.10008.5.1.4.1.1.9.1.1\0'],
      [0x0008_0018, 'UI', '1.2.826.0.1.3680043.10.1.2'],
      [0x5400_0100, 'SQ', [waveformGroup(ECG)]],
    ])
    const path = join(folder, 'ecg.dcm')
    writeFileSync(path, bytes)
    const request = new dimse.requests.CStoreRequest(path)
    request.setAffectedSopInstanceUid('1.2.826.0.1.3680043.10.1.3')
    const answered = Promise.withResolvers<{ status: number; comment: string }>()
    request.on('response', (response) =>
      answered.resolve({ status: response.getStatus(), comment: String(response.getErrorComment()) }),
    )
    const client = new dimse.Client()
    client.addRequest(request)

    client.send('127.0.0.1', ward.gateway.ports.dicom!, 'CARDIACNETS', 'CARDIACNETS')

    expect(await answered.promise).toEqual({ status: 0xa900, comment: 'association-mismatch: field=SOPInstanceUID' })
    expect(await ward.metric('ecgs_received_total')).toBe(0)
    await ward.end()
  })

  it('in a message and the bed of its device cause a warning in the result', async () => {
    const ward = await startTestGateway()
    const ask = async (message: Uint8Array) => {
      const peer = await RawPeer.connect(ward.gateway.ports.hl7!)
      peer.send(message)
      const answer = parseMessage(Buffer.from((await peer.answer())!))
      peer.close()
      return answer.first('MSA')!.text(1)
    }
    await ask(adt('A01', { patient: '9999', at: '20260101000000' }))

    const verdict = await ask(waveOru(ECG))
    const [result] = await until(
      () => ward.results(),
      (results) => results.length === 1,
    )

    expect(verdict).toBe('AA')
    expect(result!.warnings).toContainEqual({ code: 'person-doubtful', field: 'PID.3' })
    await ward.end()
  })
})

describe('an ORU with missing leads', () => {
  const only = (...names: readonly string[]) => ({
    ...ECG,
    leads: ECG.leads.filter(({ name }) => names.includes(name)),
  })

  it('is answered AE with the place of the fault when there is none at all, and nothing is stored', async () => {
    const ward = await startTestGateway()
    const peer = await RawPeer.connect(ward.gateway.ports.hl7!)

    peer.send(waveOru(only()))
    const answer = parseMessage(Buffer.from((await peer.answer())!))

    expect(answer.first('MSA')!.text(1)).toBe('AE')
    const error = answer.first('ERR')!
    expect([error.raw(2), error.text(3), error.text(5)]).toEqual(['OBX^1^', '101', 'lead-missing'])
    expect(await ward.metric('ecgs_received_total')).toBe(0)
    peer.close()
    await ward.end()
  })

  it('is accepted with fewer than twelve, and its result names those that are missing', async () => {
    const ward = await startTestGateway()
    const peer = await RawPeer.connect(ward.gateway.ports.hl7!)

    peer.send(waveOru(only('I', 'II', 'V1', 'V2', 'V3', 'V4', 'V6')))
    const answer = parseMessage(Buffer.from((await peer.answer())!))
    const [result] = await until(
      () => ward.results(),
      (results) => results.length === 1,
    )

    expect(answer.first('MSA')!.text(1)).toBe('AA')
    expect(result!.status).toBe('screened')
    expect(result!.quality.leads).toMatchObject({ V4: 'acceptable', V5: 'missing' })
    peer.close()
    await ward.end()
  })
})

describe('an ADT that contradicts the ward', () => {
  it('is answered AE with the place of the fault, and changes nothing', async () => {
    const ward = await startTestGateway()
    const peer = await RawPeer.connect(ward.gateway.ports.hl7!)
    const ask = async (message: Uint8Array) => {
      peer.send(message)
      const answer = parseMessage(Buffer.from((await peer.answer())!))
      const error = answer.first('ERR')
      return [answer.first('MSA')!.text(1), error?.raw(2), error?.text(5)]
    }
    const at = '20260102080000'

    const answers = [
      await ask(adt('A01', { at })),
      await ask(adt('A02', { at: '20250102080000', bed: 'ICU^02^B' })),
      await ask(adt('A01', { at, patient: '9' })),
      // From where the patient still is.
      await ask(adt('A02', { at: '20260102090000', bed: 'ICU^02^B' })),
    ]

    expect(answers).toEqual([
      ['AA', undefined, undefined],
      ['AE', 'EVN^1^6', 'clock-invalid'],
      ['AE', 'PV1^1^3', 'association-overlap'],
      ['AA', undefined, undefined],
    ])
    peer.close()
    await ward.end()
  })
})

describe('a clock that jumps by a year', () => {
  afterEach(() => void vi.restoreAllMocks())

  it('is stated in each result, and deletes nothing', async () => {
    const real = Date.now
    let aheadMs = 0
    vi.spyOn(Date, 'now').mockImplementation(() => real() + aheadMs)
    const ward = await startTestGateway()
    const peer = await RawPeer.connect(ward.gateway.ports.hl7!)
    const screened = async (heartRateBpm: number, count: number) => {
      peer.send(waveOru(syntheticRecording({ gainUv: 5, heartRateBpm })))
      const verdict = parseMessage(Buffer.from((await peer.answer())!))
        .first('MSA')!
        .text(1)
      const results = await until(
        () => ward.results(),
        (all) => all.length === count,
      )
      return [verdict, results[0]!.warnings.map(({ code }) => code)]
    }

    const before = await screened(60, 1)
    aheadMs = 365 * 86_400_000
    // It is looked at every second.
    await until(
      () => ward.metric('clock_trusted'),
      (isTrusted) => isTrusted === 0,
    )
    const after = await screened(70, 2)

    expect(before).toEqual(['AA', []])
    expect(after).toEqual(['AA', ['clock-doubtful']])
    peer.close()
    await ward.end()
  })
})

describe('a peer that opens too many connections', () => {
  it('takes no connection from other peers', async () => {
    let refused = 0
    const hold = await openDoor(
      { host: '127.0.0.1', port: 0 },
      'dicom',
      (socket) => socket.write('served'),
      () => refused++,
    )
    const open = (localAddress: string) =>
      new Promise<{ socket: Socket; isServed: boolean }>((done) => {
        const socket = connect({ host: '127.0.0.1', port: hold.port, localAddress })
        socket.on('error', () => {})
        socket.once('data', (data) => done({ socket, isServed: String(data) === 'served' }))
        socket.once('close', () => done({ socket, isServed: false }))
      })

    const flood = await Promise.all(Array.from({ length: 100 }, () => open('127.0.0.1')))
    const other = await open('127.0.0.2')

    expect(flood.filter(({ isServed }) => isServed)).toHaveLength(64)
    expect(refused).toBe(36)
    expect(other.isServed).toBe(true)
    for (const { socket } of [...flood, other]) socket.destroy()
    await hold.close()
  })
})

describe('an AE that floods', () => {
  it('is rejected with the reason of the standard, and others are served', async () => {
    const ward = await startTestGateway({ dicom: { port: 0, allow: ['CARDIACNETS'] } })
    const port = ward.gateway.ports.dicom!
    const idle = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const socket = connect({ host: '127.0.0.1', port })
        await once(socket, 'connect')
        return socket
      }),
    )
    /** Another machine: what comes to this port goes on from another address. */
    const elsewhere = createServer((client) => {
      const on = connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' })
      for (const socket of [client, on]) socket.on('error', () => {})
      client.pipe(on).pipe(client)
    }).listen(0, '127.0.0.1')
    await once(elsewhere, 'listening')
    const echo = (to: number) =>
      new Promise<string>((done) => {
        const client = new dimse.Client()
        const request = new dimse.requests.CEchoRequest()
        request.on('response', (response) => done(`status ${response.getStatus()}`))
        client.on('associationRejected', (reject) => done(`rejected ${JSON.stringify(reject)}`))
        client.on('networkError', (error) => done(error.message))
        client.addRequest(request)
        client.send('127.0.0.1', to, 'CARDIACNETS', 'CARDIACNETS')
      })

    const flooding = await echo(port)
    const other = await echo((elsewhere.address() as { port: number }).port)

    expect(flooding).toBe('rejected {"result":2,"source":3,"reason":2}')
    expect(other).toBe('status 0')
    elsewhere.close()
    for (const socket of idle) socket.destroy()
    await ward.end()
  })
})

describe('a frame without an end', () => {
  it('is cut at the limit with an answer, and costs the gateway no memory beyond it', {
    timeout: 240_000,
  }, async () => {
    const file = join(folder, 'gateway.json')
    writeFileSync(file, JSON.stringify({ data: 'data', hl7: { port: 0 }, status: { port: 0 } }))
    const gateway = await startGatewayProcess(file)
    const before = gateway.peakMb()
    const MB = 1024 * 1024
    /** Sends 2 GB, whatever the answer, until it is hung up on. */
    const flood = async () => {
      const peer = await RawPeer.connect(gateway.ports.hl7)
      const chunk = Buffer.alloc(MB, 'A')
      let sent = 0
      peer.socket.write(`\x0b${bytesOf([header({ type: 'ORU^R01', id: 'HUGE' })])}\rOBX|1|ED|||`)
      while (!peer.socket.destroyed && sent < 2048 * MB) {
        sent += MB
        if (peer.socket.write(chunk)) continue
        await new Promise<void>((go) => {
          peer.socket.once('drain', go).once('close', go)
        })
      }
      const answer = parseMessage(Buffer.from((await peer.answer())!))
      return { sentMb: sent / MB, code: answer.first('ERR')!.text(5), verdict: answer.first('MSA')!.text(1) }
    }

    const floods = [await flood(), await flood(), await flood()]
    const peer = await RawPeer.connect(gateway.ports.hl7)
    peer.send(waveOru(ECG))
    const next = parseMessage(Buffer.from((await peer.answer())!))
    const grown = gateway.peakMb() - before

    for (const { code, verdict, sentMb } of floods) {
      expect([verdict, code]).toEqual(['AR', 'payload-too-large'])
      expect(sentMb).toBeLessThan(100)
    }
    expect(next.first('MSA')!.text(1)).toBe('AA')
    // Three floods, each of 32 MB until it is cut.
    expect(grown).toBeLessThan(150)
    peer.close()
    await gateway.kill()
  })
})

describe('a file in the watched folder', () => {
  it('is read only when it is complete', async () => {
    const store = new Store(':memory:', { limitBytes: 1e9, forwards: false })
    let now = 0
    const taken: unknown[] = []
    const door = new FolderDoor({
      watch: folder,
      tenant: 't',
      store,
      now: () => now,
      receivedAt: () => 1,
      warnings: () => [],
      onStored: () => {},
      onTaken: (error) => taken.push(error?.code),
    })
    await door.open()
    const { bytes } = writeMuse(ECG)
    const path = join(folder, 'ecg.xml')
    const look = async (afterMs: number) => {
      now += afterMs
      await door.look()
    }

    for (let at = 0; at < bytes.length; at += Math.ceil(bytes.length / 5)) {
      appendFileSync(path, bytes.subarray(at, at + Math.ceil(bytes.length / 5)))
      await look(1900)
    }
    const whileGrowing = [...taken]
    await look(1900)
    const tooSoon = [...taken]
    await look(200)

    expect([whileGrowing, tooSoon, taken]).toEqual([[], [], [undefined]])
    expect(existsSync(join(folder, 'done', 'ecg.xml'))).toBe(true)
    expect(readdirSync(join(folder, 'rejected'))).toEqual([])
    store.close()
  })
})

describe('the gateway’s disk', () => {
  const script = (body: string) => {
    const storeModule = resolve(import.meta.dirname, '../../../streams/gateway/store.ts')
    const file = join(folder, 'script.ts')
    writeFileSync(
      file,
      `import { Store } from ${JSON.stringify(storeModule)}
const path = ${JSON.stringify(join(folder, 'ecgs.db'))}
const ecg = (i: number) => ({ door: 'hl7', envelope: { schema: 1, tenant: 't', ecgId: '00000000-0000-5000-8000-' + String(i).padStart(12, '0'), origin: { kind: 'upload' },
  span: { startedAt: null, firstSample: 0, durationMs: 1 } }, packed: new Uint8Array(50_000).fill(i), about: { order: {}, visit: {} } }) as never
${body}`,
    )
    return file
  }

  it('refuses new ECGs with disk-full when full, keeps stored ones, and resumes when there is space', () => {
    const fill = script(`
const store = new Store(path, { limitBytes: 1e9, forwards: true })
let kept = 0
let code: unknown
for (; code === undefined && kept < 1000; ) {
  try { store.transaction(() => store.addEcg(ecg(kept), 1)); kept++ } catch (error) { code = (error as { code: unknown }).code }
}
console.log(JSON.stringify({ kept, code, read: store.toForward(0, 1000).length }))`)
    // The system lets no file of the process grow beyond 2 MB, as a full disk would.
    const limited = execFileSync('bash', ['-c', `ulimit -f 2048 && exec "${process.execPath}" "${fill}"`], {
      encoding: 'utf8',
    })
    const { kept, code, read } = JSON.parse(limited) as { kept: number; code: string; read: number }

    const store = new Store(join(folder, 'ecgs.db'), { limitBytes: 1e9, forwards: true })
    const held = store.toForward(0, 1000).length
    store.close()
    expect(code).toBe('disk-full')
    expect(kept).toBeGreaterThan(5)
    expect([read, held]).toEqual([kept, kept])
  })

  it('prevents the start with an error sentence when it cannot be written', () => {
    const main = resolve(import.meta.dirname, '../../../streams/gateway/main.ts')
    const config = join(folder, 'gateway.json')
    writeFileSync(config, JSON.stringify({ data: join(config, 'data'), status: { port: 0 } }))

    const { status, stderr } = spawnSync(process.execPath, [main, config], { encoding: 'utf8' })

    expect(status).toBe(2)
    expect(stderr).toContain('data-unwritable')
  })
})

describe.skipIf(!HAS_OPENSSL)(`an expired certificate${NO_OPENSSL}`, () => {
  it('is refused from a peer, and the listener’s own is reported in advance', async () => {
    let refused = 0
    const authority = new Authority(folder)
    const tls = authority.pem('door')
    const peers = { good: authority.pem('good'), old: authority.pem('old', -1) }
    const address = { host: '127.0.0.1', port: 0, tls }
    const door = await openDoor(
      address,
      'hl7',
      (socket) => socket.write('served'),
      () => refused++,
    )
    const isServed = (name: keyof typeof peers) =>
      new Promise<boolean>((done) => {
        const socket = connectTls({ host: '127.0.0.1', port: door.port, ...peers[name] })
        socket.once('data', () => done(true))
        socket.once('error', () => done(false))
        socket.once('close', () => done(false))
      })

    const served = [await isServed('good'), await isServed('old'), await isServed('good')]

    expect(guardOf(address, 'hl7')).toBe('mutual-tls')
    expect(served).toEqual([true, false, true])
    expect(refused).toBe(1)
    expect([isEndingSoon(door, Date.now()), isEndingSoon(door, Date.now() - 20 * 86_400_000)]).toEqual([true, false])
    await door.close()
  })
})
