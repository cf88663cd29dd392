/**
 * Which connections listen for the results of which device, and what each was sent and has not acknowledged. A connection gets a result once: MQTT 3.1.1
 * (4.4) repeats a message on a new connection only. Repeating on a live one adds load exactly where there is too much of it.
 * @module
 */

/** How surely a connection gets what it listens for: at QoS 0 it acknowledges nothing. */
export type Qos = 0 | 1

/** A delivery on its way to a peer. */
interface Sent {
  readonly delivery: number
  readonly peer: string
  readonly payload: string
}

interface Listening {
  readonly qosByPeer: Map<string, Qos>
  /** In the order in which it was sent them. */
  readonly unacknowledged: Sent[]
}

/** `Connection` is compared by identity. */
export class Listeners<Connection> {
  readonly #connections = new Map<Connection, Listening>()
  readonly #byPeer = new Map<string, Set<Connection>>()
  /** Deliveries that a live connection has still to acknowledge, and their peer. */
  readonly #underWay = new Map<number, string>()

  /** Peers that somebody listens for. */
  get peers(): readonly string[] {
    return [...this.#byPeer.keys()]
  }

  isHeard(peer: string): boolean {
    return this.#byPeer.has(peer)
  }

  isUnderWay(delivery: number): boolean {
    return this.#underWay.has(delivery)
  }

  /** A new connection gets what an earlier one was sent in vain: that one may be dead without our knowing it. */
  add(connection: Connection, peer: string, qos: Qos): void {
    const listening = this.#connections.get(connection) ?? { qosByPeer: new Map<string, Qos>(), unacknowledged: [] }
    const isNew = !listening.qosByPeer.has(peer)
    listening.qosByPeer.set(peer, qos)
    this.#connections.set(connection, listening)
    this.#byPeer.set(peer, (this.#byPeer.get(peer) ?? new Set()).add(connection))
    if (isNew) for (const [delivery, whose] of this.#underWay) if (whose === peer) this.#underWay.delete(delivery)
  }

  /** It listens for a device no longer. What it was sent before, it still acknowledges. */
  remove(connection: Connection, peer: string): void {
    this.#connections.get(connection)?.qosByPeer.delete(peer)
    this.#leave(connection, peer)
  }

  /** The connection has ended: what it has not acknowledged waits for the next. */
  gone(connection: Connection): void {
    const listening = this.#connections.get(connection)
    if (listening === undefined) return
    this.#connections.delete(connection)
    for (const peer of listening.qosByPeer.keys()) this.#leave(connection, peer)
    for (const { delivery } of listening.unacknowledged) this.#underWay.delete(delivery)
  }

  /**
   * Notes that a delivery goes to all who listen for its peer.
   * @returns whether one of them will acknowledge it
   */
  sent(peer: string, delivery: number, payload: string): boolean {
    let isAwaited = false
    for (const connection of this.#byPeer.get(peer) ?? []) {
      const listening = this.#connections.get(connection)
      if (listening?.qosByPeer.get(peer) !== 1) continue
      listening.unacknowledged.push({ peer, delivery, payload })
      isAwaited = true
    }
    if (isAwaited) this.#underWay.set(delivery, peer)
    return isAwaited
  }

  /**
   * A connection acknowledges the oldest that it was sent and that `isIt`: devices acknowledge in the order in which they got them.
   * @returns which delivery that is
   */
  acknowledged(connection: Connection, isIt: (payload: string) => boolean): Omit<Sent, 'payload'> | undefined {
    const unacknowledged = this.#connections.get(connection)?.unacknowledged ?? []
    const index = unacknowledged.findIndex(({ payload }) => isIt(payload))
    const [acknowledged] = index < 0 ? [] : unacknowledged.splice(index, 1)
    if (acknowledged !== undefined) this.#underWay.delete(acknowledged.delivery)
    return acknowledged
  }

  #leave(connection: Connection, peer: string): void {
    const connections = this.#byPeer.get(peer)
    connections?.delete(connection)
    if (connections?.size === 0) this.#byPeer.delete(peer)
  }
}
