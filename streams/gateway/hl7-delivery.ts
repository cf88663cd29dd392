/**
 * Sends results to an EHR by MLLP: in order, one at a time. Silence and AE are tried again, with growing pauses, for ever; AR goes to the dead letters with
 * its reason, and the next follows. Nothing is skipped in between.
 * @module
 */

import { cutWindow } from '../../shared/domain/window.ts'
import { CodedError, toCodedError } from '../../shared/errors.ts'
import { pause } from '../../shared/pause.ts'
import { decodeWaveform } from '../../shared/waveform/codec.ts'
import { MllpClient } from '../hl7/client.ts'
import { type Message, parseMessage } from '../hl7/message.ts'
import { writeOru } from '../hl7/oru-out.ts'
import { drawReport } from '../hl7/report-page.ts'
import { type Destination, type GatewayConfig, readPem } from './config.ts'
import { hl7Peer } from './peers.ts'
import type { Store } from './store.ts'
import { resultIn } from './stored-ecg.ts'
import { completeAbout } from './whose.ts'

export interface Hl7DeliveryOptions {
  readonly destination: Destination
  readonly config: GatewayConfig
  readonly store: Store
  readonly now: () => number
  readonly signal: AbortSignal
  /** Told of each answer: delivered, tried in vain, or refused for good. */
  readonly onOutcome: (outcome: 'sent' | 'retry' | 'dead', error?: CodedError) => void
}

const PAUSE_MS = { first: 500, longest: 60_000 } as const

export class Hl7Delivery {
  readonly #options: Hl7DeliveryOptions
  readonly #client: MllpClient
  readonly #peer: string
  #wake: (() => void) | undefined
  readonly ended: Promise<void>

  constructor(options: Hl7DeliveryOptions) {
    this.#options = options
    const { host, port, tls, name } = options.destination
    const pem = (part: 'ca' | 'cert' | 'key') =>
      tls?.[part] === undefined ? {} : { [part]: readPem(tls[part], `destinations.${name}.tls.${part}`) }
    this.#client = new MllpClient({
      host,
      port,
      tls: tls === undefined ? undefined : { ...pem('ca'), ...pem('cert'), ...pem('key') },
    })
    this.#peer = hl7Peer(options.destination)
    options.signal.addEventListener('abort', () => this.wake(), { once: true })
    this.ended = this.#run()
  }

  /** Something may wait. */
  wake(): void {
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { signal, store, onOutcome } = this.#options
    let pauseMs: number = PAUSE_MS.first
    while (!signal.aborted) {
      const delivery = store.nextDelivery(this.#peer)
      if (delivery === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          // It may have come, or the end, between the look and this.
          if (signal.aborted || store.nextDelivery(this.#peer) !== undefined) resolve()
        })
        continue
      }
      try {
        const refusal = await this.#send(delivery.ecg)
        if (refusal === undefined) store.endDelivery(delivery.id, 'done')
        else store.endDelivery(delivery.id, 'dead', refusal)
        onOutcome(refusal === undefined ? 'sent' : 'dead')
        pauseMs = PAUSE_MS.first
      } catch (error) {
        if (signal.aborted) break
        onOutcome('retry', toCodedError(error))
        await pause(pauseMs, signal)
        pauseMs = Math.min(pauseMs * 2, PAUSE_MS.longest)
      }
    }
    this.#client.close()
  }

  /** @returns why the peer refuses it for good, if it does. @throws CodedError for what may go better next time */
  async #send(ecgRow: number): Promise<string | undefined> {
    const { store, destination, config, now } = this.#options
    const ecg = store.readEcg(ecgRow)
    const result = ecg && resultIn(ecg)
    // Erased meanwhile: nobody is to hear of it. A version that was replaced before its turn came must not follow its correction.
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

/** A code of the peer's; its free text may hold a person's name, so it is not kept. */
function reasonOf(answer: Message): string {
  const err = answer.first('ERR')
  const code = err?.text(3) || err?.text(1, 4) || ''
  return /^[A-Za-z0-9.-]{1,32}$/.test(code) ? code : 'rejected'
}
