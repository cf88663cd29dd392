import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../../shared/domain/frame.ts'
import type { Recording } from '../../../shared/domain/recording.ts'
import { parseResult } from '../../../shared/domain/result.ts'
import { CodedError } from '../../../shared/errors.ts'
import { openDoor } from '../../../streams/gateway/door-server.ts'
import { type Message, parseMessage } from '../../../streams/hl7/message.ts'
import { serveMllp } from '../../../streams/hl7/mllp.ts'
import { framesOf, streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { writeMuse } from '../../helpers/xml-writers.ts'
import { adt, bytesOf, fileOru, header, RawPeer, waveOru } from '../hl7/helpers.ts'
import { startEhr, startTestGateway, type TestGateway, until } from './helpers.ts'

const ECG: Recording = syntheticRecording({ gainUv: 5 })

/** Packs badly: some of these fill a small journal. */
function noise(seed: number): Recording {
  let state = seed + 1
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    return state >> 20
  }
  return { ...ECG, leads: ECG.leads.map((lead) => ({ ...lead, samples: lead.samples.map(next) })) }
}

let ward: TestGateway | undefined
afterEach(async () => {
  await ward?.end()
  ward = undefined
})

const open = async (overrides: object = {}) => {
  ward = await startTestGateway(overrides)
  return ward
}

const ask = async (gateway: TestGateway, message: Uint8Array): Promise<Message> => {
  const peer = await RawPeer.connect(gateway.gateway.ports.hl7!)
  peer.send(message)
  const answer = parseMessage(Buffer.from((await peer.answer())!))
  peer.close()
  return answer
}
const verdictOf = (answer: Message) => answer.first('MSA')!.text(1)

describe('the gateway', () => {
  it('accepts an ORU, screens it, sends the result to the EHR with its order, and forwards it', async () => {
    const ehr = await startEhr()
    const gateway = await open({ destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port }] })

    const answer = await ask(gateway, waveOru(ECG))
    await until(
      () => ehr.messages.length,
      (count) => count === 1,
    )

    const [oru] = ehr.messages as [Message]
    const [result] = await gateway.results()
    await until(
      () => gateway.cloud.got.length,
      (count) => count === 1,
    )
    expect(verdictOf(answer)).toBe('AA')
    expect(result!.status).toBe('screened')
    expect([oru.first('OBR')!.text(2), oru.first('OBR')!.text(3)]).toEqual(['PLACER-1', 'FILLER-9'])
    expect(oru.first('PID')!.text(3)).toBe('4711')
    expect(oru.all('OBX').filter((obx) => obx.text(17) !== '').length).toBe(12)
    expect(gateway.cloud.got[0]!.envelope.ecgId).toBe(result!.ecgId)
    expect(JSON.stringify(gateway.cloud.got[0]!.envelope)).not.toContain('4711')
    await ehr.close()
  })

  it('gives a device its result during a cloud outage, and forwards the window afterwards', async () => {
    const gateway = await open()
    gateway.cloud.isAway = true
    const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${gateway.gateway.ports.mqtt}`, version: 4 })

    const { windows } = await streamRecording(syntheticRecording({ seconds: 20, gainUv: 5 }), {
      link,
      tenant: 'local',
      device: 'monitor-7',
      speed: Number.POSITIVE_INFINITY,
    })

    expect(windows.map(({ results }) => results)).toEqual([1, 1])
    expect(gateway.cloud.got).toEqual([])
    gateway.cloud.isAway = false
    await until(
      () => gateway.cloud.got.length,
      (count) => count === 2,
    )
    expect(new Set(gateway.cloud.got.map(({ envelope }) => envelope.ecgId))).toEqual(
      new Set(windows.map(({ ecgId }) => ecgId)),
    )
    await link.close()
  })

  it('keeps a result for a disconnected device', async () => {
    const gateway = await open()
    const url = `mqtt://127.0.0.1:${gateway.gateway.ports.mqtt}`
    const first = await DeviceLink.open({ url, version: 4 })
    const ending = new AbortController()
    const streaming = streamRecording(ECG, {
      link: first,
      tenant: 'local',
      device: 'monitor-7',
      session: 's1',
      speed: Number.POSITIVE_INFINITY,
      resultTimeoutMs: 0,
      signal: ending.signal,
    })
    await streaming
    await first.close()
    await until(
      () => gateway.results(),
      (results) => results.length === 1,
    )

    const again = await DeviceLink.open({ url, version: 4 })
    const got = Promise.withResolvers<string>()
    await again.listen('ecg/v1/local/monitor-7/results', (payload) => got.resolve(payload.toString()))

    expect(parseResult(await got.promise).status).toBe('screened')
    await again.close()
  })

  it('reads a dropped file, writes its result beside it, and explains a rejected one', async () => {
    const gateway = await open()
    writeFileSync(join(gateway.inbox, 'Doe_Jane.xml'), writeMuse(ECG).bytes)
    writeFileSync(join(gateway.inbox, 'notes.txt'), 'no ECG at all, only words')
    writeFileSync(join(gateway.inbox, 'half.xml.part'), 'being written')

    await until(
      () => readdirSync(join(gateway.inbox, 'done')),
      // Excludes the temporary file beside it.
      (names) => names.includes('Doe_Jane.xml.result.json'),
    )
    await until(
      () => readdirSync(join(gateway.inbox, 'rejected')),
      (names) => names.includes('notes.txt.reason.json'),
    )

    const result = parseResult(readFileSync(join(gateway.inbox, 'done', 'Doe_Jane.xml.result.json'), 'utf8'))
    const reason: unknown = JSON.parse(readFileSync(join(gateway.inbox, 'rejected', 'notes.txt.reason.json'), 'utf8'))
    expect(result.status).toBe('screened')
    expect(reason).toMatchObject({ code: expect.any(String) })
    expect(readdirSync(gateway.inbox).toSorted()).toEqual(['done', 'half.xml.part', 'rejected'])
  })

  it('recognizes an ECG that arrives through two listeners', async () => {
    const gateway = await open()
    const { bytes } = writeMuse(ECG)

    await ask(gateway, fileOru(bytes))
    writeFileSync(join(gateway.inbox, 'ecg.xml'), bytes)
    await until(
      () => readdirSync(join(gateway.inbox, 'done')),
      (names) => names.includes('ecg.xml'),
    )
    await ask(gateway, fileOru(bytes, { id: 'M2' }))

    await until(
      () => gateway.cloud.got.length,
      (count) => count >= 1,
    )
    expect(await gateway.results()).toHaveLength(1)
    expect(gateway.cloud.got).toHaveLength(1)
  })

  it.each([
    ['names no message', (_: string) => 'MSH|^~\\&|EHR|HOSP|||2026||ACK|1|P|2.3\rMSA|AA\r'],
    ['has no control ID of its own', (id: string) => `MSH|^~\\&|EHR|HOSP|||2026||ACK||P|2.2\rMSA|AA|${id}\r`],
  ])('sends a result once to an EHR whose answer %s', async (_, answer) => {
    let sent = 0
    const ehr = await openDoor({ host: '127.0.0.1', port: 0 }, 'ehr', (socket) =>
      serveMllp(
        socket,
        async (bytes) => {
          sent++
          return [Buffer.from(answer(parseMessage(bytes).controlId))]
        },
        () => [],
      ),
    )
    const gateway = await open({ destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port, timeoutMs: 500 }] })

    await ask(gateway, waveOru(ECG))
    await until(
      () => gateway.metric('delivery_attempts_total{outcome="sent"}'),
      (count) => count === 1,
    )

    expect(sent).toBe(1)
    await ehr.close()
  })

  it('retries an EHR in order, and gives up only results that it rejects', async () => {
    const seen: string[] = []
    const ehr = await startEhr((message, count) => {
      seen.push(message.first('OBR')!.text(2))
      if (count === 0) return new CodedError('internal')
      return message.first('OBR')!.text(2) === 'P-B'
        ? new CodedError('origin-foreign', { field: 'OBR[2].2' })
        : undefined
    })
    const gateway = await open({ destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port }] })
    const oru = (placer: string, rate: number) =>
      Buffer.from(
        waveOru(syntheticRecording({ gainUv: 5, heartRateBpm: rate }))
          .toString()
          .replace('PLACER-1', placer),
      )

    for (const [placer, rate] of [
      ['P-A', 60],
      ['P-B', 70],
      ['P-C', 80],
    ] as const)
      await ask(gateway, oru(placer, rate))
    await until(
      () => ehr.messages.length,
      (count) => count === 2,
    )

    expect(seen).toEqual(['P-A', 'P-A', 'P-B', 'P-C'])
    const status = (await (await fetch(gateway.url('/status'))).json()) as { deliveries: unknown }
    expect(status.deliveries).toEqual({ 'hl7:ehr': { waiting: 0, dead: 1 } })
    await ehr.close()
  })

  it.each([
    {
      what: 'the first of several',
      sent: [
        [
          ['NW', 1],
          ['NW', 2],
        ],
      ],
      number: 1,
    },
    {
      what: 'the one that is left',
      sent: [
        [['NW', 1]],
        [
          ['CA', 1],
          ['NW', 2],
        ],
      ],
      number: 2,
    },
  ] as const)(
    'matches an order by the device’s bed when the ECG names neither order nor patient: $what',
    async ({ sent, number }) => {
      const ehr = await startEhr()
      const gateway = await open({ destinations: [{ name: 'ehr', host: '127.0.0.1', port: ehr.port }] })
      const order = (control: string, id: number) => [
        `ORC|${control}|ORD-${id}|FIL-${id}`,
        `OBR|1|ORD-${id}|FIL-${id}|93000^ECG^C4`,
      ]
      const orm = (all: readonly (readonly [control: string, id: number])[]) =>
        bytesOf([header({ type: 'ORM^O01' }), 'PID|1||4711^^^HOSP^MR', ...all.flatMap((each) => order(...each))])
      const bare = waveOru(ECG)
        .toString()
        .replace(/\rPID[^\r]*/, '')
        .replace(/\rPV1[^\r]*/, '')
        .replace('PLACER-1|FILLER-9', '|')
        .replaceAll('MONITOR-7', 'monitor-7')

      expect(verdictOf(await ask(gateway, adt('A01', { at: '20260101000000' })))).toBe('AA')
      for (const orders of sent) expect(verdictOf(await ask(gateway, orm(orders)))).toBe('AA')
      expect(verdictOf(await ask(gateway, Buffer.from(bare)))).toBe('AA')
      await until(
        () => ehr.messages.length,
        (count) => count === 1,
      )

      const [oru] = ehr.messages as [Message]
      expect(oru.first('PID')!.text(3)).toBe('4711')
      expect([oru.first('OBR')!.text(2), oru.first('OBR')!.text(3)]).toEqual([`ORD-${number}`, `FIL-${number}`])
      await ehr.close()
    },
  )

  it('answers no acknowledgement, and refuses two messages in one frame', async () => {
    const gateway = await open()
    const peer = await RawPeer.connect(gateway.gateway.ports.hl7!)

    peer.send(bytesOf([header({ type: 'ACK^R01', id: 'A' }), 'MSA|AA|1']))
    peer.send(Buffer.concat([waveOru(ECG, { id: 'B' }), waveOru(ECG, { id: 'C' })]))
    const answer = parseMessage(Buffer.from((await peer.answer())!))
    peer.close()

    const [, msa, err] = answer.segments
    expect([msa!.text(1), msa!.text(2), err!.text(2), err!.text(5)]).toEqual(['AE', 'B', 'MSH', 'payload-malformed'])
    expect(await gateway.metric('ecgs_received_total{door="hl7"}')).toBe(0)
  })

  it('resumes after a stop', async () => {
    const gateway = await open()
    gateway.cloud.isAway = true
    await ask(gateway, waveOru(ECG))
    await until(
      () => gateway.results(),
      (results) => results.length === 1,
    )

    ward = await gateway.again()
    gateway.cloud.isAway = false

    await until(
      () => gateway.cloud.got.length,
      (count) => count === 1,
    )
    expect(await ward.results()).toHaveLength(1)
  })

  it('refuses new ECGs on every listener at its disk limit, and loses nothing', async () => {
    const gateway = await open({ limitMb: 0.5 })
    gateway.cloud.isAway = true
    let taken = 0
    for (; ; taken++) {
      const answer = await ask(gateway, waveOru(noise(taken)))
      if (verdictOf(answer) === 'AA') continue
      expect(answer.first('ERR')!.text(5)).toBe('disk-full')
      break
    }
    writeFileSync(join(gateway.inbox, 'late.xml'), writeMuse(syntheticRecording({ gainUv: 5, heartRateBpm: 39 })).bytes)
    await until(
      () => gateway.metric('refused_total{reason="folder/disk-full"}'),
      (count) => count > 0,
    )
    expect(readdirSync(gateway.inbox)).toContain('late.xml')
    expect((await fetch(gateway.url('/healthz'))).status).toBe(503)
    gateway.cloud.isAway = false
    await until(
      () => gateway.cloud.got.length,
      (count) => count === taken,
    )
  })

  it('erases a patient: ECGs, stays, orders and files', async () => {
    const gateway = await open()
    await ask(gateway, adt('A01', { at: '20260101000000' }))
    await ask(gateway, waveOru(ECG))
    await until(
      () => gateway.results(),
      (results) => results.length === 1,
    )

    const answer = await gateway.post('/erase', { patient: '4711' })

    expect(await answer.json()).toEqual({ erased: 1 })
    expect(await gateway.results()).toEqual([])
    await gateway.gateway.stop()
    for (const name of readdirSync(join(gateway.folder, 'data'))) {
      expect(readFileSync(join(gateway.folder, 'data', name)).includes('4711')).toBe(false)
    }
  })

  it('answers only local programs, and accepts no commands from browsers', async () => {
    const gateway = await open()

    const foreign = new Promise<number | undefined>((resolve) => {
      const headers = { host: 'evil.example' }
      get({ host: '127.0.0.1', port: gateway.gateway.ports.status, path: '/status', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      })
    })
    const commanded = await fetch(gateway.url('/erase'), { method: 'POST', body: '{"patient":"4711"}' })

    expect(await foreign).toBe(400)
    expect(commanded.status).toBe(400)
  })

  it('counts ECGs that the cloud flags differently, and adds a warning to their results', async () => {
    const gateway = await open()
    await ask(gateway, waveOru(ECG))
    const [ours] = await until(
      () => gateway.results(),
      (results) => results.length === 1,
    )
    const [first, ...others] = ours!.findings
    const theirs = { ...ours!, findings: [{ ...first!, flagged: !first!.flagged }, ...others] }

    gateway.cloud.results.set(ours!.ecgId, JSON.stringify(theirs))

    await until(
      () => gateway.metric('differences_total{difference="flags"}'),
      (count) => count === 1,
    )
    const [shown] = await gateway.results()
    const one = parseResult(await (await fetch(gateway.url(`/v1/ecgs/${ours!.ecgId}`))).text())
    for (const { warnings } of [shown!, one]) expect(warnings).toContainEqual({ code: 'screens-differ' })
  })

  it('backs up its journal while running, and starts from the copy', async () => {
    const gateway = await open()
    await ask(gateway, waveOru(ECG))
    await until(
      () => gateway.results(),
      (results) => results.length === 1,
    )
    const copy = join(gateway.folder, 'copy')

    await gateway.post('/backup', { path: copy })
    const second = await gateway.post('/backup', { path: copy })
    ward = await gateway.again({ data: copy })

    expect(await ward.results()).toHaveLength(1)
    expect(second.ok).toBe(false)
    expect(statSync(copy).mode & 0o777).toBe(0o700)
  })

  it('completes a window from the frames of a backup', async () => {
    const gateway = await open()
    const frames = framesOf(ECG, toWire(ECG), { session: 's1', sessionStartedAtMs: Date.now() }).toArray()
    const publish = async ({ gateway: { ports } }: TestGateway, some: readonly Frame[]) => {
      const link = await DeviceLink.open({ url: `mqtt://127.0.0.1:${ports.mqtt}`, version: 4 })
      for (const frame of some) {
        await link.publish('ecg/v1/local/d1/frames', encodeFrame(frame, 'protobuf'), 'application/x-protobuf')
      }
      await link.close()
    }
    await publish(gateway, frames.slice(0, 10))

    const copy = join(gateway.folder, 'copy')
    await gateway.post('/backup', { path: copy })
    ward = await gateway.again({ data: copy })
    await publish(ward, frames.slice(10))

    const [result] = await until(
      () => ward!.results(),
      (results) => results.length === 1,
    )
    expect(result!.warnings.map(({ code }) => code)).not.toContain('window-closed-short')
    expect(result!.span.durationMs).toBe(10_000)
  })
})
