/**
 * Sends messages by MLLP one at a time, and returns each answer. The connection is kept, and reopened when it was lost.
 * @module
 */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import { CodedError } from '../../shared/errors.ts'
import { frameMessage, MllpDecoder } from './mllp.ts'

export interface MllpAddress {
  readonly host: string
  readonly port: number
  /** TLS when present; the peer's certificate is always verified. */
  readonly tls?: SecureContextOptions | undefined
}

const CONNECT_MS = 10_000

export class MllpClient {
  readonly #address: MllpAddress
  #socket: Socket | undefined
  #decoder = new MllpDecoder()
  #answers: Buffer[] = []
  #wake: (() => void) | undefined

  constructor(address: MllpAddress) {
    this.#address = address
  }

  /**
   * Sends a message and waits for its answer. `isAnswer` identifies it among others (an accept acknowledgement before the application's).
   * @throws CodedError `unavailable` when the peer cannot be reached, closes the connection or is silent for `timeoutMs`
   */
  async send(message: Uint8Array, timeoutMs: number, isAnswer: (bytes: Buffer) => boolean): Promise<Buffer> {
    const socket = await this.#connected()
    const deadline = performance.now() + timeoutMs
    this.#answers = []
    socket.write(frameMessage(message))
    for (;;) {
      const found = this.#answers.find(isAnswer)
      if (found !== undefined) return found
      const leftMs = deadline - performance.now()
      if (socket.destroyed || leftMs <= 0) {
        this.close()
        throw new CodedError('unavailable', { field: 'hl7' })
      }
      await this.#change(leftMs)
    }
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#decoder = new MllpDecoder()
  }

  async #connected(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket
    const { host, port, tls } = this.#address
    this.#decoder = new MllpDecoder()
    const socket = tls === undefined ? connectTcp({ host, port }) : connectTls({ host, port, ...tls })
    const opened = Promise.withResolvers<void>()
    const timer = setTimeout(() => opened.reject(new Error('timeout')), CONNECT_MS)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => opened.resolve())
    socket.on('error', (error) => {
      opened.reject(error)
      socket.destroy()
    })
    socket.on('close', () => {
      opened.reject(new Error('closed'))
      this.#wake?.()
    })
    socket.on('data', (chunk: Buffer) => {
      for (const framed of this.#decoder.push(chunk)) if (framed.kind === 'message') this.#answers.push(framed.bytes)
      this.#wake?.()
    })
    try {
      await opened.promise
    } catch (cause) {
      socket.destroy()
      throw new CodedError('unavailable', { field: 'hl7' }, { cause })
    } finally {
      clearTimeout(timer)
    }
    this.#socket = socket
    return socket
  }

  #change(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, withinMs)
      function done() {
        clearTimeout(timer)
        resolve()
      }
      this.#wake = done
    })
  }
}
