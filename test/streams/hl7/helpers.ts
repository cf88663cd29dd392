/**
 * HL7 v2 messages as hospitals' systems write them, for tests.
 * @module
 */
import { createConnection, type Socket } from 'node:net'
import { connect as connectTls, type SecureContextOptions } from 'node:tls'
import type { Recording } from '../../../shared/domain/recording.ts'
import { frameMessage, MllpDecoder } from '../../../streams/hl7/mllp.ts'

export const bytesOf = (segments: readonly string[]): Buffer => Buffer.from(`${segments.join('\r')}\r`)

export interface HeaderOptions {
  readonly type: string
  readonly id?: string
  readonly version?: string
  readonly accept?: string
  readonly application?: string
  readonly charset?: string
}

export function header({
  type,
  id = 'M1',
  version = '2.5.1',
  accept = '',
  application = '',
  charset = '',
}: HeaderOptions) {
  return `MSH|^~\\&|CART|WARD|CN|LAB|20260102030405||${type}|${id}|P|${version}|||${accept}|${application}||${charset}`
}

/** IHE PCD's way: an OBX NA a lead, its rate and resolution in OBXs with a longer sub-id. */
export function waveOru(
  recording: Recording,
  options: Partial<HeaderOptions> & { readonly bed?: string } = {},
): Buffer {
  const { bed = 'ICU^01^A' } = options
  const obx = recording.leads.flatMap(({ name, gainUv, samples }, index) => {
    const id = `1.1.${index + 1}`
    return [
      `OBX|${index * 3 + 1}|NA|131329^MDC_ECG_ELEC_POTL_${name}^MDC|${id}|${[...samples].join('^')}||||||P|||20260102030405.000+0000||||MONITOR-7`,
      `OBX|${index * 3 + 2}|NM|0^MDC_ATTR_SAMP_RATE^MDC|${id}.1|${recording.rateHz}|264608^MDC_DIM_PER_SEC^MDC|||||P`,
      `OBX|${index * 3 + 3}|NM|2327^MDC_ATTR_NU_MSMT_RES^MDC|${id}.2|${gainUv / 1000}|266418^MDC_DIM_MILLI_VOLT^MDC|||||P`,
    ]
  })
  return bytesOf([
    header({ type: 'ORU^R01^ORU_R01', ...options }),
    'PID|1||4711^^^HOSP^MR||DOE^JANE',
    `PV1|1|I|${bed}`,
    'OBR|1|PLACER-1|FILLER-9|93000^ECG 12 leads^C4|||20260102030405',
    ...obx,
  ])
}

/** A file in an OBX ED, by base64. */
export function fileOru(file: Uint8Array, options: Partial<HeaderOptions> & { readonly kind?: string } = {}): Buffer {
  const { kind = 'text^xml' } = options
  return bytesOf([
    header({ type: 'ORU^R01', ...options }),
    'PID|1||4711^^^HOSP^MR',
    'OBR|1|PLACER-1|FILLER-9|93000^ECG 12 leads^C4',
    `OBX|1|ED|11524-6^EKG study^LN||MUSE^${kind}^Base64^${Buffer.from(file).toString('base64')}||||||F`,
  ])
}

export interface AdtOptions {
  readonly patient?: string
  readonly bed?: string
  readonly at?: string
  readonly merged?: string
  readonly id?: string
}

export function adt(
  event: string,
  { patient = '4711', bed = 'ICU^01^A', at = '20260102080000', merged, id }: AdtOptions = {},
) {
  return bytesOf([
    header({ type: `ADT^${event}`, ...(id === undefined ? {} : { id }) }),
    `EVN|${event}|${at}`,
    `PID|1||${patient}^^^HOSP^MR`,
    ...(merged === undefined ? [] : [`MRG|${merged}^^^HOSP^MR`]),
    `PV1|1|I|${bed}`,
  ])
}

/** A peer that writes what it likes, and reads answers. */
export class RawPeer {
  readonly socket: Socket
  readonly #decoder = new MllpDecoder()
  readonly #answers: string[] = []
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      for (const framed of this.#decoder.push(chunk)) {
        if (framed.kind === 'message') this.#answers.push(framed.bytes.toString('utf8'))
      }
      this.#wake?.()
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#wake?.())
  }

  /** @param tls by TLS, with this certificate and authority */
  static connect(port: number, tls?: SecureContextOptions): Promise<RawPeer> {
    return new Promise((resolve, reject) => {
      const to = { host: '127.0.0.1', port }
      const socket = tls === undefined ? createConnection(to) : connectTls({ ...to, ...tls })
      socket.once('error', reject)
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => resolve(new RawPeer(socket)))
    })
  }

  send(message: Uint8Array): void {
    this.socket.write(frameMessage(message))
  }

  /** The next answer; undefined when the other side has hung up. */
  async answer(): Promise<string | undefined> {
    for (;;) {
      const next = this.#answers.shift()
      if (next !== undefined || this.socket.destroyed) return next
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }
}
