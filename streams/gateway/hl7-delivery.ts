/**
 * Delivers results to an EHR by MLLP. No answer and AE are retried; AR is permanent.
 * @module
 */
import { cutWindow } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { MllpClient } from '../hl7/client.ts'
import { type Message, parseMessage } from '../hl7/message.ts'
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
    const bytes = await this.#client.send(message, destination.timeoutMs, (answer) => answers(answer, controlId))
    const answer = parseMessage(bytes)
    const code = answer.first('MSA')?.text(1) ?? ''
    if (code === 'AA' || code === 'CA') {
      store.transaction(() => store.book.orderAnswered(about.order))
      return undefined
    }
    if (code === 'AR' || code === 'CR') return reasonOf(answer)
    throw new CodedError('unavailable', { field: 'MSA.1' })
  }
}

function answers(bytes: Buffer, controlId: string): boolean {
  try {
    return parseMessage(bytes).first('MSA')?.text(2) === controlId
  } catch {
    return false
  }
}

/** The peer's error code. Its free text is not kept, because it may contain a person's name. */
function reasonOf(answer: Message): string {
  const err = answer.first('ERR')
  const code = err?.text(3) || err?.text(1, 4) || ''
  return /^[A-Za-z0-9.-]{1,32}$/.test(code) ? code : 'rejected'
}
