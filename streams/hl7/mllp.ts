/**
 * MLLP: messages between VT and FS CR over TCP or TLS. What a peer sends is bounded in bytes and in time.
 * @module
 */
import type { Socket } from 'node:net'
import { CodedError } from '../../shared/errors.ts'

const VT = 0x0b
const FS = 0x1c
const CR = 0x0d

/** A waveform of ten minutes in text is 40 MB; what hospitals send of an ECG is below 2 MB. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024

/** A message between its brackets. */
export function frameMessage(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([VT]), message, Buffer.from([FS, CR])])
}

/** What a decoder makes of what came: a message, or why there is none (with its beginning, by which it can be answered). */
export type Framed =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  | { readonly kind: 'broken'; readonly error: CodedError; readonly head: Buffer; readonly isFatal: boolean }

/** Takes bytes as they come and gives whole messages. Keeps no more than `maxBytes`. */
export class MllpDecoder {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #isInside = false
  #endsWithFs = false

  constructor(maxBytes = MAX_MESSAGE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** True in the middle of a message. */
  get isInside(): boolean {
    return this.#isInside
  }

  push(chunk: Buffer): Framed[] {
    const out: Framed[] = []
    let at = 0
    while (at < chunk.length) {
      if (!this.#isInside) {
        at = this.#skipTo(chunk, at, out)
        continue
      }
      if (this.#endsWithFs) {
        this.#endsWithFs = false
        if (chunk[at] === CR) at++
        // Some senders leave the CR out; the next message begins at once then.
        out.push(this.#take())
        continue
      }
      const end = chunk.indexOf(FS, at)
      const again = chunk.indexOf(VT, at)
      if (again >= 0 && (end < 0 || again < end)) {
        // A new beginning before the end: what came before was cut off.
        this.#keep(chunk.subarray(at, again))
        out.push(this.#break('payload-malformed', false))
        this.#isInside = true
        at = again + 1
        continue
      }
      const piece = chunk.subarray(at, end < 0 ? chunk.length : end)
      if (this.#bytes + piece.length > this.#maxBytes) {
        this.#keep(piece.subarray(0, 0))
        out.push(this.#break('payload-too-large', true))
        return out
      }
      this.#keep(piece)
      at = end < 0 ? chunk.length : end + 1
      this.#endsWithFs = end >= 0
      if (this.#endsWithFs && at === chunk.length) continue
    }
    if (this.#endsWithFs) {
      // The CR may be in the next chunk; the message is whole all the same.
      this.#endsWithFs = false
      out.push(this.#take())
    }
    return out
  }

  /** For a peer that went away or fell silent: what is left of a message, if anything. */
  cut(): Framed | undefined {
    return this.#isInside ? this.#break('payload-malformed', true) : undefined
  }

  #skipTo(chunk: Buffer, at: number, out: Framed[]): number {
    const start = chunk.indexOf(VT, at)
    const between = chunk.subarray(at, start < 0 ? chunk.length : start)
    // Blanks and line ends between messages harm nobody; anything else is no MLLP.
    if (between.some((byte) => byte > 0x20)) {
      out.push({
        kind: 'broken',
        error: new CodedError('payload-malformed', { field: 'MLLP' }),
        head: Buffer.from(between.subarray(0, HEAD_BYTES)),
        isFatal: start < 0,
      })
    }
    if (start < 0) return chunk.length
    this.#isInside = true
    return start + 1
  }

  #keep(piece: Buffer): void {
    this.#chunks.push(piece)
    this.#bytes += piece.length
  }

  #take(): Framed {
    const bytes = Buffer.concat(this.#chunks)
    this.#reset()
    return { kind: 'message', bytes }
  }

  #break(code: 'payload-malformed' | 'payload-too-large', isFatal: boolean): Framed {
    const head = Buffer.concat(this.#chunks).subarray(0, HEAD_BYTES)
    this.#reset()
    const detail = code === 'payload-too-large' ? { field: 'message', maxBytes: this.#maxBytes } : { field: 'MLLP' }
    return { kind: 'broken', error: new CodedError(code, detail), head: Buffer.from(head), isFatal }
  }

  #reset(): void {
    this.#chunks = []
    this.#bytes = 0
    this.#isInside = false
    this.#endsWithFs = false
  }
}

/** As much of a message as holds its header. */
const HEAD_BYTES = 4096

export interface MllpPeerOptions {
  readonly maxBytes?: number
  /** How long a message may take to come, once it has begun. */
  readonly messageMs?: number
  /** How long a connection may be silent between messages. */
  readonly idleMs?: number
}

/** Answers one message; what it returns is sent back, in the order in which messages came. An empty list sends nothing. */
export type Answer = (bytes: Buffer) => Promise<readonly Buffer[]>

/** Answers something that is no message, from as much of its header as there is. */
export type AnswerBroken = (head: Buffer, error: CodedError) => readonly Buffer[]

/** Messages of one connection that may wait for their answers before it is read no further. */
const MAX_WAITING = 16

/** Serves one connection until it ends. Messages are handled one after the other, as HL7 asks of a connection. */
export function serveMllp(
  socket: Socket,
  answer: Answer,
  answerBroken: AnswerBroken,
  { maxBytes, messageMs = 60_000, idleMs = 0 }: MllpPeerOptions = {},
): void {
  const decoder = new MllpDecoder(maxBytes)
  let waiting = 0
  let queue: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const send = (answers: readonly Buffer[]) => {
    if (!socket.destroyed) for (const each of answers) socket.write(frameMessage(each))
  }
  const hangUp = () => {
    socket.end()
    // A peer that goes on sending 2 GB is not listened to.
    socket.destroySoon()
  }
  const take = (framed: Framed) => {
    waiting++
    if (waiting >= MAX_WAITING) socket.pause()
    queue = queue.then(async () => {
      try {
        send(framed.kind === 'message' ? await answer(framed.bytes) : answerBroken(framed.head, framed.error))
      } catch {
        // Without an answer the peer sends it again: that is HL7's way of saying that nothing was stored.
        socket.destroy()
      }
      if (framed.kind === 'broken' && framed.isFatal) hangUp()
      waiting--
      if (waiting < MAX_WAITING && !socket.destroyed) socket.resume()
    })
  }
  const watch = () => {
    clearTimeout(timer)
    const ms = decoder.isInside ? messageMs : idleMs
    if (ms === 0) return
    timer = setTimeout(() => {
      const cut = decoder.cut()
      if (cut === undefined) hangUp()
      else take(cut)
    }, ms)
    timer.unref()
  }
  socket.on('data', (chunk: Buffer) => {
    const framed = decoder.push(chunk)
    for (const each of framed) take(each)
    if (framed.some((each) => each.kind === 'broken' && each.isFatal)) socket.removeAllListeners('data').resume()
    watch()
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => clearTimeout(timer))
}
