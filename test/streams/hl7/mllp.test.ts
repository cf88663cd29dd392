import { once } from 'node:events'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { OpenDoor } from '../../../streams/gateway/door-server.ts'
import { openDoor } from '../../../streams/gateway/door-server.ts'
import { acknowledge, acknowledgeBroken } from '../../../streams/hl7/acknowledge.ts'
import { MllpClient } from '../../../streams/hl7/client.ts'
import { parseMessage } from '../../../streams/hl7/message.ts'
import {
  type Framed,
  frameMessage,
  MllpDecoder,
  type MllpPeerOptions,
  MllpRoom,
  serveMllp,
} from '../../../streams/hl7/mllp.ts'
import { bytesOf, header, RawPeer } from './helpers.ts'

const BY = { application: 'CN', facility: 'LAB', controlId: () => 'A1', now: () => new Date() }
const HELLO = bytesOf([header({ type: 'ADT^A01', id: 'H1' })])

describe('MllpDecoder', () => {
  it('gives the same messages wherever the bytes are split', () => {
    const messages = [Buffer.from('MSH|a'), Buffer.alloc(0), Buffer.from('MSH|b\rPID|')]
    const stream = Buffer.concat(messages.flatMap((each) => [frameMessage(each), Buffer.from('\r\n')]))

    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: stream.length }), { maxLength: 8 }), (cuts) => {
        const decoder = new MllpDecoder()
        const places = [0, ...cuts.toSorted((a, b) => a - b), stream.length]

        const framed = places.slice(1).flatMap((end, i) => decoder.push(stream.subarray(places[i], end)))

        expect(framed.map(contentOf)).toEqual(messages.map(String))
      }),
    )
  })

  it('reports a message cut off by the next', () => {
    const decoder = new MllpDecoder()

    const framed = decoder.push(Buffer.concat([Buffer.from('\x0bMSH|half'), frameMessage(HELLO)]))

    expect(framed.map(({ kind }) => kind)).toEqual(['broken', 'message'])
  })

  it('stays within its memory limit for any input', () => {
    const decoder = new MllpDecoder(1000)
    const flood = Buffer.alloc(64 * 1024, 'x')

    const framed = [...decoder.push(Buffer.from('\x0bMSH|')), ...decoder.push(flood)]

    expect(framed).toMatchObject([{ kind: 'broken', error: { code: 'payload-too-large' }, isFatal: true }])
  })
})

const contentOf = (framed: Framed) => (framed.kind === 'message' ? framed.bytes.toString() : framed.error.code)

describe('the MLLP listener', () => {
  let door: OpenDoor | undefined
  afterEach(async () => {
    await door?.close()
    door = undefined
  })

  const open = async (options: MllpPeerOptions = {}) => {
    door = await openDoor({ host: '127.0.0.1', port: 0 }, 'hl7', (socket) =>
      serveMllp(
        socket,
        async (bytes) => acknowledge(parseMessage(bytes), undefined, BY),
        (head, error) => acknowledgeBroken(head, error, BY),
        options,
      ),
    )
    return door.port
  }

  it('answers several messages of one connection in order', async () => {
    const peer = await RawPeer.connect(await open())
    const ids = Array.from({ length: 50 }, (_, i) => `M${i}`)

    for (const id of ids) peer.send(bytesOf([header({ type: 'ADT^A01', id })]))
    const answers = []
    for (const _ of ids)
      answers.push(
        parseMessage(Buffer.from((await peer.answer())!))
          .first('MSA')!
          .text(2),
      )

    expect(answers).toEqual(ids)
    peer.close()
  })

  it('answers an unfinished message after a timeout, and closes the connection', async () => {
    const peer = await RawPeer.connect(await open({ messageMs: 50 }))

    peer.socket.write(`\x0b${header({ type: 'ORU^R01', id: 'HALF' })}\rOBX|1|ED`)
    const answer = parseMessage(Buffer.from((await peer.answer())!))
    const after = await peer.answer()

    expect(answer.first('MSA')!.text(1)).toBe('AE')
    expect(answer.first('MSA')!.text(2)).toBe('HALF')
    expect(after).toBeUndefined()
  })

  it('rejects an oversized message by its control ID, and closes the connection early', async () => {
    const peer = await RawPeer.connect(await open({ maxBytes: 100_000 }))
    const closed = once(peer.socket, 'close')

    peer.socket.write(`\x0b${header({ type: 'ORU^R01', id: 'HUGE' })}\rOBX|1|ED|||`)
    const flood = setInterval(() => peer.socket.write(Buffer.alloc(60_000, 'A')), 5)
    const answer = parseMessage(Buffer.from((await peer.answer())!))
    await closed
    clearInterval(flood)

    expect(answer.first('MSA')!.text(1)).toBe('AR')
    expect(answer.first('MSA')!.text(2)).toBe('HUGE')
    expect(answer.first('ERR')!.text(5)).toBe('payload-too-large')
  })

  it('holds unfinished messages of all connections within one limit, and answers AE beyond it', async () => {
    const room = new MllpRoom(300_000)
    const port = await open({ room })
    const sender = async (id: string) => {
      const peer = await RawPeer.connect(port)
      peer.socket.write(`\x0b${header({ type: 'ORU^R01', id })}\rOBX|1|ED|||${'A'.repeat(120_000)}`)
      return peer
    }
    const waiting = [await sender('W1'), await sender('W2')]
    await vi.waitFor(() => expect(room.leftBytes).toBeLessThan(70_000))

    const answer = parseMessage(Buffer.from((await (await sender('BUSY')).answer())!))
    for (const peer of waiting) peer.close()
    await vi.waitFor(() => expect(room.leftBytes).toBe(300_000))
    const later = await RawPeer.connect(port)
    later.send(HELLO)

    expect(answer.first('MSA')!.text(1)).toBe('AE')
    expect(answer.first('MSA')!.text(2)).toBe('BUSY')
    expect(answer.first('ERR')!.text(5)).toBe('limit-exceeded')
    expect(
      parseMessage(Buffer.from((await later.answer())!))
        .first('MSA')!
        .text(1),
    ).toBe('AA')
    later.close()
  })

  it('answers input that is not MLLP', async () => {
    const peer = await RawPeer.connect(await open())

    peer.socket.write('GET / HTTP/1.1\r\n\r\n')

    expect(
      parseMessage(Buffer.from((await peer.answer())!))
        .first('MSA')!
        .text(1),
    ).toBe('AR')
  })

  it('serves our own client, also after a reconnect', async () => {
    const client = new MllpClient({ host: '127.0.0.1', port: await open() })
    const isAnswer = (bytes: Buffer) => parseMessage(bytes).first('MSA')?.text(2) === 'H1'

    const first = await client.send(HELLO, 5000, isAnswer)
    client.close()
    const second = await client.send(HELLO, 5000, isAnswer)

    expect([first, second].map((each) => parseMessage(each).first('MSA')!.text(1))).toEqual(['AA', 'AA'])
    client.close()
  })
})

describe('openDoor beyond loopback', () => {
  it('requires mutual TLS or a list of peers', async () => {
    await expect(openDoor({ host: '0.0.0.0', port: 0 }, 'hl7', () => {})).rejects.toMatchObject({
      code: 'site-config-invalid',
      detail: { field: 'hl7' },
    })
  })

  it('admits listed peers only', async () => {
    let refused = 0
    const door = await openDoor(
      { host: '127.0.0.1', port: 0, peers: ['10.0.0.0/8'] },
      'hl7',
      () => {},
      () => refused++,
    )

    const peer = await RawPeer.connect(door.port)
    const answer = await peer.answer()

    expect(answer).toBeUndefined()
    expect(refused).toBe(1)
    expect(door.guard).toBe('peers')
    await door.close()
  })
})
