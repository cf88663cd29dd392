import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import dimse from 'dcmjs-dimse'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { sentenceOf } from '../../../shared/error-sentences.ts'
import { CodedError } from '../../../shared/errors.ts'
import { serveDicom } from '../../../streams/dicom/scp.ts'
import { echo, storeFile, stow } from '../../../streams/dicom/scu.ts'
import { COMMITMENT, COMMITMENT_INSTANCE } from '../../../streams/dicom/uids.ts'
import { type DicomStoreOptions, storeInstance } from '../../../streams/gateway/dicom-door.ts'
import { type OpenDoor, openDoor } from '../../../streams/gateway/door-server.ts'
import { Store } from '../../../streams/gateway/store.ts'
import { waveformGroup, writeDicom } from '../../helpers/dicom-writer.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeAecg } from '../../helpers/xml-writers.ts'

const run = promisify(execFile)
const hasDcmtk = spawnSync('storescu', ['--version']).error === undefined
const NO_DCMTK = hasDcmtk ? '' : ' (skipped: no storescu; Debian package dcmtk)'

const ECG = syntheticRecording({ gainUv: 5 })
/** Longer than a PDU (256 KiB). */
const LONG_ECG = syntheticRecording({ rateHz: 2000, gainUv: 5 })
const TWELVE_LEAD = '1.2.840.10008.5.1.4.1.1.9.1.1'

let folder: string
let store: Store
let door: OpenDoor
let stored: number
let answers: string[]
let storing: DicomStoreOptions

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dicom-'))
  store = new Store(join(folder, 'ecgs.db'), { limitBytes: 1e8, forwards: false })
  stored = 0
  answers = []
  storing = {
    tenant: 'clinic',
    store,
    now: () => Date.now(),
    warnings: () => [],
    onStored: (added) => {
      stored += added.length
    },
    onPdf: () => {},
  }
  door = await openDoor({ host: '127.0.0.1', port: 0 }, 'dicom', (socket) =>
    serveDicom(socket, {
      aeTitle: 'CARDIACNETS',
      allow: ['STORESCU', 'ECHOSCU', 'CARDIACNETS'],
      maxBytes: 1e7,
      store: (instance) => storeInstance(storing, instance),
      isKept: (uid) => store.hasInstance(uid),
      onAnswered: (kind, error) => {
        answers.push(`${kind}:${error instanceof CodedError ? error.code : (error ?? 'ok')}`)
      },
    }),
  )
})

afterEach(async () => {
  await door.close()
  store.close()
  rmSync(folder, { recursive: true, force: true })
})

const INSTANCE = '1.2.826.0.1.3680043.10.1.2'

const fileOf = (name: string, options: Parameters<typeof writeDicom>[1] = {}, recording = ECG) => {
  const path = join(folder, name)
  const { bytes } = writeDicom(
    [
      [0x0008_0016, 'UI', `${TWELVE_LEAD}\0`],
      [0x0008_0018, 'UI', INSTANCE],
      [0x0008_0050, 'SH', 'ACC-1 '],
      [0x0010_0020, 'LO', '4711'],
      [0x5400_0100, 'SQ', [waveformGroup(recording)]],
    ],
    options,
  )
  writeFileSync(path, bytes)
  return path
}

describe.skipIf(!hasDcmtk)(`the DICOM listener, used from dcmtk${NO_DCMTK}`, () => {
  const scu = (...args: readonly string[]) =>
    run('storescu', ['-v', '-aet', 'STORESCU', '-aec', 'CARDIACNETS', '127.0.0.1', String(door.port), ...args])

  it('answers C-ECHO', async () => {
    await run('echoscu', ['-aet', 'ECHOSCU', '-aec', 'CARDIACNETS', '127.0.0.1', String(door.port)])

    expect(answers).toContain('association:ok')
  })

  it.each(['explicit', 'implicit'] as const)(
    'stores an ECG in %s little-endian once, even when it is sent twice',
    async (syntax) => {
      const path = fileOf('ecg.dcm', { syntax })

      const first = await scu(path)
      const second = await scu(path)

      for (const { stdout, stderr } of [first, second]) expect(`${stdout}${stderr}`).toMatch(/Success/)
      expect(stored).toBe(1)
      expect(store.toScreen(0, 10)).toHaveLength(1)
    },
  )

  it('rejects an association from an AE title that is not listed', async () => {
    const address = ['127.0.0.1', String(door.port)]

    const storing = run('storescu', ['-aet', 'STRANGER', '-aec', 'CARDIACNETS', ...address, fileOf('a.dcm')])

    await expect(storing).rejects.toThrow()
    expect(answers).toEqual(['association:not-allowed'])
    expect(stored).toBe(0)
  })
})

describe.skipIf(!hasDcmtk)(`the DICOM client, used with dcmtk’s archive${NO_DCMTK}`, () => {
  let archive: ChildProcess
  let port: number

  beforeEach(async () => {
    port = await freePort()
    mkdirSync(join(folder, 'archive'))
    const options = ['--fork', '-aet', 'ARCHIVE', '-od', join(folder, 'archive'), String(port)]
    archive = spawn('storescp', options, { stdio: 'ignore' })
    await listening(port)
  })
  afterEach(async () => {
    archive.kill('SIGKILL')
    await once(archive, 'exit')
  })

  it('stores a complete file', async () => {
    const peer = { host: '127.0.0.1', port, calling: 'CARDIACNETS', called: 'ARCHIVE' }
    const path = fileOf('ecg.dcm')

    await echo(peer)
    const status = await storeFile(peer, path)

    const [name] = readdirSync(join(folder, 'archive'))
    const uid = async (file: string) =>
      /\[([\d.]+)\]/.exec((await run('dcmdump', ['+P', '0008,0018', file])).stdout)?.[1]
    expect(status).toBe(0)
    expect(await uid(join(folder, 'archive', name!))).toBe(await uid(path))
  })
})

describe('the DICOM listener', () => {
  const ourselves = () => ({ host: '127.0.0.1', port: door.port, calling: 'CARDIACNETS', called: 'CARDIACNETS' })

  it('answers unreadable input with a coded status and keeps running', async () => {
    const broken = fileOf('broken.dcm', {}, syntheticRecording({ rateHz: 50, seconds: 1 }))

    await expect(storeFile(ourselves(), broken)).rejects.toMatchObject({
      code: 'delivery-refused',
      detail: { status: 0xc000, why: 'status 0xC000' },
    })
    expect(await storeFile(ourselves(), fileOf('whole.dcm'))).toBe(0)
    expect(answers).toContain('store:rate-unsupported')
  })

  it('stores nothing from a peer that does not speak DICOM', async () => {
    const socket = connect(door.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.on('error', () => {})
    const closed = once(socket, 'close')
    socket.resume().end(Buffer.alloc(100_000, 7))
    await closed

    expect(await storeFile(ourselves(), fileOf('after.dcm'))).toBe(0)
    expect(stored).toBe(1)
  })

  // Soon: an idle connection would be closed after 30 s.
  it('stores nothing of an instance within which the peer aborts, and it may be sent again', {
    timeout: 15_000,
  }, async () => {
    const abort = Buffer.from([7, 0, 0, 0, 0, 4, 0, 0, 0, 0])
    const closed = Promise.withResolvers<void>()
    // The peer, too, leaves the connection open.
    const proxy = await proxyTo(door.port, HALF_OF_IT, (towards, from) => {
      towards.write(abort)
      towards.once('close', closed.resolve)
      from.write(abort)
    })
    const path = fileOf('ecg.dcm', {}, LONG_ECG)

    await expect(storeFile({ ...ourselves(), port: proxy.port }, path)).rejects.toMatchObject({
      code: 'association-aborted',
    })
    await closed.promise

    expect(stored).toBe(0)
    expect(answers).toEqual(['association:ok'])
    expect(await storeFile(ourselves(), path)).toBe(0)
    expect(stored).toBe(1)
    proxy.close()
  })

  it('commits to stored instances only', async () => {
    const path = fileOf('ecg.dcm')
    await storeFile(ourselves(), path)
    const uid = String(dimse.Dataset.fromFile(path)!.getElement('SOPInstanceUID'))
    const client = new dimse.Client()
    const request = new dimse.requests.NActionRequest(COMMITMENT, COMMITMENT_INSTANCE, 1)
    const reference = (instance: string) => ({
      ReferencedSOPClassUID: TWELVE_LEAD,
      ReferencedSOPInstanceUID: instance,
    })
    request.setDataset(
      new dimse.Dataset({ TransactionUID: '1.2.3.4', ReferencedSOPSequence: [reference(uid), reference('1.2.3.9')] }),
    )
    const reported = Promise.withResolvers<Record<string, unknown>>()
    client.on('nEventReportRequest', (report, done) => {
      const response = dimse.responses.NEventReportResponse.fromRequest(report)
      response.setStatus(0)
      done(response)
      reported.resolve(report.getDataset()!.getElements())
    })
    client.addRequest(request)

    client.send('127.0.0.1', door.port, 'CARDIACNETS', 'CARDIACNETS', { associationLingerTimeout: 2000 })
    const report = await reported.promise

    expect(report.ReferencedSOPSequence).toMatchObject([reference(uid)])
    expect(report.FailedSOPSequence).toMatchObject([{ ...reference('1.2.3.9'), FailureReason: 0x0112 }])
  })
})

describe('the numbers of a stored instance', () => {
  const numbers = (pid: string | Buffer, charset = '') => [
    ...(charset === '' ? [] : [[0x0008_0005, 'CS', charset] as const]),
    [0x0008_0016, 'UI', `${TWELVE_LEAD}\0`] as const,
    [0x0008_0018, 'UI', INSTANCE] as const,
    [0x0008_0050, 'SH', 'ACC-1 '] as const,
    [0x0010_0020, 'LO', pid] as const,
    [0x0010_0021, 'LO', 'HOSP'] as const,
    [0x0020_000d, 'UI', '1.2.3\0'] as const,
    [0x0020_000e, 'UI', '1.2.4\0'] as const,
  ]
  const aboutOf = (file: Buffer, classUid: string = TWELVE_LEAD) => {
    storeInstance(storing, { file, classUid, instanceUid: INSTANCE })
    return store.toScreen(0, 10).map((id) => store.readEcg(id)!.about)
  }
  const kept = { order: { placer: 'ACC-1' }, visit: { patient: '4711', authority: 'HOSP' } }

  it.each(['explicit', 'implicit', 'deflated'] as const)('are kept in %s little-endian', (syntax) => {
    const { bytes } = writeDicom([...numbers('4711'), [0x5400_0100, 'SQ', [waveformGroup(ECG)]]], { syntax })

    expect(aboutOf(Buffer.from(bytes))).toMatchObject([{ ...kept, source: { study: '1.2.3', series: '1.2.4' } }])
  })

  it.each([
    ['', Buffer.from('M\xfc12', 'latin1'), 'Mü12'],
    ['ISO_IR 192', Buffer.from('Mü1'), 'Mü1'],
    ['ISO_IR 144', Buffer.from([0xb6, 0x31]), 'Ж1'],
    ['\\ISO 2022 IR 87', Buffer.from('\x1b$B0|\x1b(B', 'latin1'), '淫'],
    ['UNKNOWN', Buffer.from('4711'), '4711'],
  ])('are kept in the character set %j', (charset, pid, patient) => {
    const { bytes } = writeDicom([...numbers(pid, charset), [0x5400_0100, 'SQ', [waveformGroup(ECG)]]])

    expect(aboutOf(Buffer.from(bytes))).toMatchObject([{ visit: { patient } }])
  })

  it.each(['', ' '])('are kept with the document of an encapsulated CDA, of any length (%j)', (end) => {
    const cda = '1.2.840.10008.5.1.4.1.1.104.2'
    const document = Buffer.concat([Buffer.from(writeAecg(ECG).bytes), Buffer.from(end)])
    const even = document.length % 2 === 0 ? document : Buffer.concat([document, Buffer.alloc(1)])
    const elements = numbers('4711').map(([tag, vr, value]) => [tag, vr, tag === 0x0008_0016 ? cda : value] as const)
    const { bytes } = writeDicom([...elements, [0x0042_0011, 'OB', even]])

    expect(aboutOf(Buffer.from(bytes), cda)).toMatchObject([kept])
  })

  it('do not belong to another instance than the announced one, in deflated little-endian either', () => {
    const elements = numbers('4711').map(
      ([tag, vr, value]) => [tag, vr, tag === 0x0008_0018 ? '1.2.9\0' : value] as const,
    )
    const { bytes } = writeDicom([...elements, [0x5400_0100, 'SQ', [waveformGroup(ECG)]]], { syntax: 'deflated' })

    expect(() => aboutOf(Buffer.from(bytes))).toThrow('association-mismatch: field=SOPInstanceUID')
  })
})

describe('the C-ECHO and C-STORE client', () => {
  const at = { host: '127.0.0.1', calling: 'CARDIACNETS', called: 'CARDIACNETS' }

  it.each([
    ['calling', { calling: 'STRANGER' }, 'it does not know our AE title (calling)'],
    ['called', { called: 'PACS' }, 'it has another AE title (called)'],
  ])('says that the %s AE title was rejected', async (_, titles, why) => {
    const peer = { ...at, port: door.port, ...titles }

    for (const refused of [echo(peer), storeFile(peer, fileOf('ecg.dcm'))]) {
      const error = await refused.catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'association-rejected', kind: { exitCode: 2, permanent: false } })
      expect(sentenceOf(error as CodedError)).toBe(
        `The archive at 127.0.0.1:${door.port} answers, but rejects the association: ${why}. Use the AE titles that it is configured with: its own (called) and ours (calling).`,
      )
    }
  })

  it.each([
    ['for good without a reason', [1, 1, 1], 'association-rejected', 'it gives no reason'],
    ['for good with an unknown reason', [1, 1, 9], 'association-rejected', 'source 1, reason 9'],
    ['for now', [2, 3, 1], 'unavailable', 'it is busy'],
  ])('reports an association that is rejected %s', async (_, answer, code, why) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(Buffer.from([3, 0, 0, 0, 0, 4, 0, ...answer])))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')

    await expect(echo({ ...at, port: portOf(server) })).rejects.toMatchObject({ code, detail: { why } })
    server.close()
  })

  it.each([
    ['by the program', [0, 0], 'the program itself ended it, without a reason'],
    ['by its network layer', [2, 2], 'it got a PDU that it did not expect'],
    ['for an unknown reason', [2, 3], 'source 2, reason 3'],
  ])('says that the peer aborted %s, at once', async (_, numbers, why) => {
    const abort = Buffer.from([7, 0, 0, 0, 0, 4, 0, 0, ...numbers])
    // It aborts instead of an answer, and leaves the connection open.
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(abort))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const peer = { ...at, port: portOf(server) }

    for (const ended of [echo(peer), storeFile(peer, fileOf('ecg.dcm'))]) {
      const error = await ended.catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'association-aborted', kind: { exitCode: 4, permanent: false } })
      expect(sentenceOf(error as CodedError)).toBe(
        `The archive at 127.0.0.1:${peer.port} answers, but aborted the association: ${why}. Try again. If it aborts again, check its log.`,
      )
    }
    await new Promise((resolve) => server.close(resolve))
  })

  it('says that the peer does not accept this kind of object', async () => {
    const path = join(folder, 'image.dcm')
    const { bytes } = writeDicom([
      [0x0008_0016, 'UI', '1.2.840.10008.5.1.4.1.1.2\0'],
      [0x0008_0018, 'UI', INSTANCE],
    ])
    writeFileSync(path, bytes)

    const error = await storeFile({ ...at, port: door.port }, path).catch((caught: unknown) => caught)

    expect(error).toMatchObject({ code: 'delivery-refused', kind: { exitCode: 2, permanent: true } })
    expect(sentenceOf(error as CodedError)).toBe(
      `The receiver at 127.0.0.1:${door.port} rejected the delivery: dicom (it does not accept objects of this kind (SOP class)). Check its log, then send it again.`,
    )
  })

  it('says that the peer closed the connection within a transfer', async () => {
    const proxy = await proxyTo(door.port, HALF_OF_IT, (_, from) => from.destroy())
    const path = fileOf('ecg.dcm', {}, LONG_ECG)

    const error = await storeFile({ ...at, port: proxy.port }, path).catch((caught: unknown) => caught)

    expect(error).toMatchObject({ code: 'unavailable', detail: { why: 'the connection ended before it answered' } })
    proxy.close()
  })

  it('says that nothing answers', async () => {
    await expect(echo({ ...at, port: await freePort() })).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('the STOW-RS client', () => {
  it('sends a file as PS3.18 requires, and reports a refusal', async () => {
    const path = fileOf('ecg.dcm')
    const got: { url: string | undefined; type: string | undefined; body: Buffer }[] = []
    let status = 200
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(Buffer.from(chunk))
      got.push({ url: request.url, type: request.headers['content-type'], body: Buffer.concat(chunks) })
      response.writeHead(status).end('{}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const base = `http://127.0.0.1:${portOf(server)}/dicom-web`

    await stow(base, path)
    status = 409
    const refused = stow(base, path)

    await expect(refused).rejects.toMatchObject({ code: 'delivery-refused' })
    expect(got[0]!.url).toBe('/dicom-web/studies')
    expect(got[0]!.type).toMatch(/^multipart\/related; type="application\/dicom"; boundary=/)
    expect(got[0]!.body.includes(readFileSync(path))).toBe(true)
    server.close()
  })
})

/** Passes everything from a door, and to it the first PDUs of a connection; then `end` is called with both connections. */
async function proxyTo(port: number, pdus: number, end: (towards: Socket, from: Socket) => void) {
  const sockets: Socket[] = []
  const server = createTcpServer((from) => {
    const towards = connect(port, '127.0.0.1')
    sockets.push(from, towards)
    for (const socket of [from, towards]) socket.on('error', () => {})
    towards.on('data', (chunk) => from.write(chunk))
    let waiting = Buffer.alloc(0)
    let passed = 0
    from.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk])
      while (passed < pdus && waiting.length >= 6 && waiting.length >= 6 + waiting.readUInt32BE(2)) {
        const length = 6 + waiting.readUInt32BE(2)
        towards.write(waiting.subarray(0, length))
        waiting = waiting.subarray(length)
        if (++passed === pdus) end(towards, from)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { port: portOf(server), close }
}

/** The association, the command, and the first of the two PDUs with the data set of `LONG_ECG`. */
const HALF_OF_IT = 3

const portOf = (server: ReturnType<typeof createTcpServer> | ReturnType<typeof createServer>): number => {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isUp = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    socket.destroy()
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
