/**
 * MLLP: messages between VT and FS CR over TCP or TLS. Input from a peer is limited in bytes and in time.
 * @module
 */
import type { Socket } from 'node:net'
import { CodedError } from '../../shared/errors.ts'

const VT = 0x0b
const FS = 0x1c
const CR = 0x0d

/** A waveform of ten minutes as text is 40 MB; ECGs from hospitals are below 2 MB. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024

/** Unfinished messages of two senders at their limit. */
const MAX_HELD_BYTES = 2 * MAX_MESSAGE_BYTES

/** Memory that the connections of a listener share for unfinished messages. */
export class MllpRoom {
  leftBytes: number

  constructor(bytes = MAX_HELD_BYTES) {
    this.leftBytes = bytes
  }
}

/** Adds the MLLP frame to a message. */
export function frameMessage(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([VT]), message, Buffer.from([FS, CR])])
}

/** Output of the decoder: a message, or an error with the beginning of the data, by which it can be answered. */
export type Framed =
  | { readonly kind: 'message'; readonly bytes: Buffer }
  | { readonly kind: 'broken'; readonly error: CodedError; readonly head: Buffer; readonly isFatal: boolean }

/** Collects bytes into whole messages. Holds at most `maxBytes`. */
export class MllpDecoder {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #isInside = false
  #endsWithFs = false

  constructor(maxBytes = MAX_MESSAGE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** True within a message. */
  get isInside(): boolean {
    return this.#isInside
  }

  /** Bytes of the unfinished message. */
  get heldBytes(): number {
    return this.#bytes
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
        // Some senders omit the CR; the next message then starts immediately.
        out.push(this.#take())
        continue
      }
      const end = chunk.indexOf(FS, at)
      const again = chunk.indexOf(VT, at)
      if (again >= 0 && (end < 0 || again < end)) {
        // A new start before the end: the previous message was cut off.
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
      // The CR may be in the next chunk; the message is complete without it.
      this.#endsWithFs = false
      out.push(this.#take())
    }
    return out
  }

  /** For a peer that disconnected or fell silent: the rest of a message, if any. */
  cut(): Framed | undefined {
    return this.#isInside ? this.#break('payload-malformed', true) : undefined
  }

  /** There is no room for the rest of the message now. */
  giveUp(): Framed {
    return this.#break('limit-exceeded', true)
  }

  #skipTo(chunk: Buffer, at: number, out: Framed[]): number {
    const start = chunk.indexOf(VT, at)
    const between = chunk.subarray(at, start < 0 ? chunk.length : start)
    // Blanks and line ends between messages are harmless; anything else is not MLLP.
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

  #break(code: 'payload-malformed' | 'payload-too-large' | 'limit-exceeded', isFatal: boolean): Framed {
    // Without copying the rest of a message that is too large.
    const head = Buffer.concat(this.#chunks, Math.min(this.#bytes, HEAD_BYTES))
    this.#reset()
    const detail = code === 'payload-too-large' ? { field: 'message', maxBytes: this.#maxBytes } : { field: 'MLLP' }
    return { kind: 'broken', error: new CodedError(code, detail), head, isFatal }
  }

  #reset(): void {
    this.#chunks = []
    this.#bytes = 0
    this.#isInside = false
    this.#endsWithFs = false
  }
}

/** Enough of a message to contain its header. */
const HEAD_BYTES = 4096

export interface MllpPeerOptions {
  readonly maxBytes?: number
  /** Time limit of a message, from its start. */
  readonly messageMs?: number
  /** Time limit of silence between messages. */
  readonly idleMs?: number
  /** Shared with other connections. */
  readonly room?: MllpRoom
}

/** Answers one message. The results are sent in the order of the messages; an empty list sends nothing. */
export type Answer = (bytes: Buffer) => Promise<readonly Buffer[]>

/** Answers something that is not a message, from as much of its header as there is. */
export type AnswerBroken = (head: Buffer, error: CodedError) => readonly Buffer[]

/** From the last answer until the connection is closed. */
const LINGER_MS = 1000

/** Messages of one connection that may wait for answers before reading is paused. */
const MAX_WAITING = 16

/** Serves one connection until it ends. Messages are handled one after another, as HL7 requires. */
export function serveMllp(
  socket: Socket,
  answer: Answer,
  answerBroken: AnswerBroken,
  { maxBytes, messageMs = 60_000, idleMs = 0, room = new MllpRoom() }: MllpPeerOptions = {},
): void {
  const decoder = new MllpDecoder(maxBytes)
  let waiting = 0
  let queue: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const send = (answers: readonly Buffer[]) => {
    if (!socket.destroyed) for (const each of answers) socket.write(frameMessage(each))
  }
  let isEnding = false
  const stopReading = () => {
    isEnding = true
    socket.removeAllListeners('data').pause()
  }
  const hangUp = () => {
    stopReading()
    socket.end()
    // A peer that keeps sending has time to read its answer.
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
  const take = (framed: Framed) => {
    waiting++
    if (waiting >= MAX_WAITING) socket.pause()
    queue = queue.then(async () => {
      try {
        send(framed.kind === 'message' ? await answer(framed.bytes) : answerBroken(framed.head, framed.error))
      } catch {
        // Without an answer the peer sends the message again; in HL7 that means that nothing was stored.
        socket.destroy()
      }
      if (framed.kind === 'broken' && framed.isFatal) hangUp()
      waiting--
      if (waiting < MAX_WAITING && !isEnding && !socket.destroyed) socket.resume()
    })
  }
  const endMessage = () => {
    room.leftBytes += decoder.heldBytes
    return decoder.cut()
  }
  const watch = () => {
    clearTimeout(timer)
    const ms = decoder.isInside ? messageMs : idleMs
    if (ms === 0) return
    timer = setTimeout(() => {
      const cut = endMessage()
      if (cut === undefined) hangUp()
      else take(cut)
    }, ms)
    timer.unref()
  }
  socket.on('data', (chunk: Buffer) => {
    room.leftBytes += decoder.heldBytes
    const framed = decoder.push(chunk)
    if (decoder.heldBytes > room.leftBytes) framed.push(decoder.giveUp())
    room.leftBytes -= decoder.heldBytes
    for (const each of framed) take(each)
    if (framed.some((each) => each.kind === 'broken' && each.isFatal)) stopReading()
    watch()
  })
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    clearTimeout(timer)
    endMessage()
  })
}
