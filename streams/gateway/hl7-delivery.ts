/**
 * Delivers results to an EHR by MLLP. No answer and AE are retried; AR is permanent.
 * @module
 */
import { cutWindow } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { readAcknowledgement } from '../hl7/acknowledge.ts'
import { MllpClient } from '../hl7/client.ts'
import { writeOru } from '../hl7/oru-out.ts'
import { drawReport } from '../hl7/report-page.ts'
import { type Destination, type GatewayConfig, readPeerTls } from './config.ts'
import type { Store } from './store.ts'
import { resultIn } from './stored-ecg.ts'
import { completeAbout } from './whose.ts'

export interface Hl7DeliveryOptions {
  readonly destination: Destination
  readonly config: GatewayConfig
  readonly store: Store
  readonly now: () => number
}

export class Hl7Delivery {
  readonly #options: Hl7DeliveryOptions
  readonly #client: MllpClient

  constructor(options: Hl7DeliveryOptions) {
    this.#options = options
    const { host, port, tls, name } = options.destination
    this.#client = new MllpClient({ host, port, tls: readPeerTls(tls, `destinations.${name}`) })
  }

  close(): void {
    this.#client.close()
  }

  /**
   * Delivers the result of an ECG.
   * @returns the reason when the peer refuses it permanently
   * @throws CodedError for an error that a retry may fix
   */
  async send(ecgRow: number): Promise<string | undefined> {
    const { store, destination, config, now } = this.#options
    const ecg = store.readEcg(ecgRow)
    const result = ecg && resultIn(ecg)
    // An erased result must not be sent, and a replaced version must not follow its correction.
    if (ecg === undefined || result === undefined || store.isSuperseded(ecg.envelope)) return undefined
    const about = completeAbout(store, config.hl7?.beds ?? {}, ecg)
    const controlId = `${result.ecgId.replaceAll('-', '').slice(0, 17)}v${result.version}`.slice(0, 20)
    const { packed, envelope } = ecg
    const waveform = decodeWaveform(packed)
    const window = cutWindow(waveform, result.span.firstSample - envelope.span.firstSample)
    const message = writeOru(
      {
        result,
        ...about,
        controlId,
        at: new Date(now()),
        pdf: destination.pdf
          ? drawReport({ result, waveform: window, order: about.order, allowsVirtual: config.virtual })
          : undefined,
      },
      {
        sending: config.hl7?.sending ?? ['CARDIACNETS', 'GATEWAY'],
        receiving: destination.receiving,
        version: destination.version,
        processingId: destination.processingId,
        codes: destination.codes,
        allowsVirtual: config.virtual,
      },
    )
    const bytes = await this.#client.send(message, destination.timeoutMs, (answer) => isAnswer(answer, controlId))
    const { code = '', error } = readAcknowledgement(bytes) ?? {}
    if (code === 'AA' || code === 'CA') {
      store.transaction(() => store.book.orderAnswered(about.order))
      return undefined
    }
    if (code === 'AR' || code === 'CR') return reasonOf(error)
    throw new CodedError('unavailable', {
      field: 'MSA.1',
      why: `it answers ${/^[AC]E$/.exec(code)?.[0] ?? 'an unknown code'}`,
    })
  }
}

/** One without a control id can only be that of the message before it: the next one is sent when this one is answered. */
function isAnswer(bytes: Buffer, controlId: string): boolean {
  const answer = readAcknowledgement(bytes)
  return answer !== undefined && (answer.controlId === controlId || answer.controlId === '')
}

/** The peer's error code. Its free text is not kept, because it may contain a person's name. */
function reasonOf(code = ''): string {
  return /^[A-Za-z0-9.-]{1,32}$/.test(code) ? code : 'rejected'
}
