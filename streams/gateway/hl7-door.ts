/**
 * Handles an HL7 message: stores ECGs, stays and orders, and answers when they are on disk.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { ResultWarning } from '../../shared/domain/warnings.ts'
import { type CodedError, toCodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'
import { type Acknowledger, acknowledge, acknowledgeBroken, verdictOf } from '../hl7/acknowledge.ts'
import { bedChanges } from '../hl7/beds.ts'
import { type Message, parseMessage, readHeader } from '../hl7/message.ts'
import type { Answer, AnswerBroken } from '../hl7/mllp.ts'
import { readOru } from '../hl7/oru-in.ts'
import { ordersOf, type Visit, visitOf } from '../hl7/visit.ts'
import type { GatewayConfig } from './config.ts'
import { ecgOf } from './recordings.ts'
import type { Store } from './store.ts'
import type { Added } from './stored-ecg.ts'

export interface Hl7DoorOptions {
  readonly config: Pick<GatewayConfig, 'tenant'>
  readonly hl7: NonNullable<GatewayConfig['hl7']>
  readonly store: Store
  readonly now: () => number
  /** Warnings that every ECG currently gets (a clock that cannot be trusted). */
  readonly warnings: () => readonly ResultWarning[]
  readonly onStored: (added: readonly Added[]) => void
  readonly onAnswered: (verdict: ReturnType<typeof verdictOf>, error: CodedError | undefined) => void
}

/** Order control codes of cancelled orders (HL7 table 0119); all others are of new or changed ones. */
const CANCELS = ['CA', 'DC', 'OC', 'CR', 'DR']

export class Hl7Door {
  readonly #options: Hl7DoorOptions
  readonly #by: Acknowledger

  constructor(options: Hl7DoorOptions) {
    this.#options = options
    const [application, facility] = options.hl7.sending
    this.#by = { application, facility, controlId: () => randomUUID().slice(0, 20), now: () => new Date(options.now()) }
  }

  readonly answer: Answer = async (bytes) => {
    // An acknowledgement is not acknowledged: two systems that do so never end.
    if (headerOf(bytes)?.header.text(9, 1) === 'ACK') return []
    const { message, error } = this.#take(bytes)
    this.#options.onAnswered(verdictOf(error), error)
    return message === undefined ? acknowledgeBroken(bytes, error!, this.#by) : acknowledge(message, error, this.#by)
  }

  readonly answerBroken: AnswerBroken = (head, error) => {
    this.#options.onAnswered(verdictOf(error), error)
    return acknowledgeBroken(head, error, this.#by)
  }

  #take(bytes: Buffer): { readonly message: Message | undefined; readonly error: CodedError | undefined } {
    let message: Message | undefined
    try {
      message = headerOf(bytes)
      message = parseMessage(bytes)
      this.#store(message)
      return { message, error: undefined }
    } catch (cause) {
      // Any failure of the parser is reported to the sender; nothing was stored.
      return { message, error: toCodedError(cause) }
    }
  }

  #store(message: Message): void {
    const kind = message.header.text(9, 1)
    if (kind === 'ORU') this.#storeEcgs(message)
    else if (kind === 'ADT') this.#storeStays(message)
    else if (kind === 'ORM' || kind === 'OMG') this.#storeOrders(message)
    else throw message.header.error('format-unsupported', 9)
  }

  #storeEcgs(message: Message): void {
    const { store, hl7, config, now, warnings, onStored } = this.#options
    const { ecgs } = readOru(message, { ...hl7.defaults, timeZone: hl7.timeZone })
    const received = ecgs.map(({ recording, order, visit, device }) =>
      ecgOf({
        tenant: config.tenant,
        door: 'hl7',
        recording,
        device: Name.safeParse(device).data ?? this.#deviceAt(visit.bed),
        about: { order, visit },
        warnings: [...warnings(), ...this.#doubts(visit, recording.startedAt)],
      }),
    )
    const added = store.transaction(() => received.map((each) => store.addEcg(each, now())))
    onStored(added.filter(({ isNew }) => isNew))
  }

  /** When the message names another patient than its bed, the message takes precedence, and the result gets a warning. */
  #doubts({ patient, bed }: Visit, startedAt: string | undefined): readonly ResultWarning[] {
    if (patient === undefined || bed === undefined || startedAt === undefined) return []
    const stay = this.#options.store.book.stayAt(bed, Date.parse(startedAt))
    return stay === undefined || stay.patient === patient ? [] : [{ code: 'person-doubtful', field: 'PID.3' }]
  }

  /** The device of a bed, if the bed has exactly one. */
  #deviceAt(bed: string | undefined): string | undefined {
    const devices = bed === undefined ? [] : (this.#options.hl7.beds[bed] ?? [])
    return devices.length === 1 ? devices[0] : undefined
  }

  #storeStays(message: Message): void {
    const { store, hl7, now } = this.#options
    store.transaction(() => store.book.apply(bedChanges(message, store.book.reader, now(), hl7.timeZone)))
  }

  #storeOrders(message: Message): void {
    const { store, now } = this.#options
    const orders = ordersOf(message)
    const { patient } = visitOf(message)
    store.transaction(() => {
      // The last one that is added is a patient's newest, which goes out with the next result: the first in the message.
      for (const { control, ...order } of orders.toReversed()) {
        if (CANCELS.includes(control)) store.book.cancelOrder(order)
        else store.book.addOrder(order, patient, now())
      }
    })
  }
}

function headerOf(bytes: Buffer): Message | undefined {
  try {
    return readHeader(bytes)
  } catch {
    return undefined
  }
}
