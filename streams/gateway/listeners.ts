/**
 * The connections that subscribe to each device's results, and the results that each connection has not acknowledged. A connection receives
 * a result once: MQTT 3.1.1 (4.4) repeats messages only on a new connection, and repeats on a live one would add load to a slow connection.
 * @module
 */

/** Guarantee of a subscription; a connection does not acknowledge at QoS 0. */
export type Qos = 0 | 1

/** A delivery that was sent to a peer. */
interface Sent {
  readonly delivery: number
  readonly peer: string
  readonly payload: string
}

interface Listening {
  readonly qosByPeer: Map<string, Qos>
  /** In the order of sending. */
  readonly unacknowledged: Sent[]
}

/** `Connection` is compared by identity. */
export class Listeners<Connection> {
  readonly #connections = new Map<Connection, Listening>()
  readonly #byPeer = new Map<string, Set<Connection>>()
  /** Deliveries that a live connection must still acknowledge, with their peers. */
  readonly #underWay = new Map<number, string>()

  /** Peers with a subscription. */
  get peers(): readonly string[] {
    return [...this.#byPeer.keys()]
  }

  isHeard(peer: string): boolean {
    return this.#byPeer.has(peer)
  }

  isUnderWay(delivery: number): boolean {
    return this.#underWay.has(delivery)
  }

  /**
   * Adds a subscription. A new connection also receives what an earlier one has not acknowledged, because that one may be dead unnoticed.
   */
  add(connection: Connection, peer: string, qos: Qos): void {
    const listening = this.#connections.get(connection) ?? { qosByPeer: new Map<string, Qos>(), unacknowledged: [] }
    const isNew = !listening.qosByPeer.has(peer)
    listening.qosByPeer.set(peer, qos)
    this.#connections.set(connection, listening)
    this.#byPeer.set(peer, (this.#byPeer.get(peer) ?? new Set()).add(connection))
    if (isNew) for (const [delivery, whose] of this.#underWay) if (whose === peer) this.#underWay.delete(delivery)
  }

  /** Removes a subscription. The connection still acknowledges what was sent before. */
  remove(connection: Connection, peer: string): void {
    this.#connections.get(connection)?.qosByPeer.delete(peer)
    this.#leave(connection, peer)
  }

  /** Removes a connection that has ended. What it has not acknowledged waits for the next one. */
  gone(connection: Connection): void {
    const listening = this.#connections.get(connection)
    if (listening === undefined) return
    this.#connections.delete(connection)
    for (const peer of listening.qosByPeer.keys()) this.#leave(connection, peer)
    for (const { delivery } of listening.unacknowledged) this.#underWay.delete(delivery)
  }

  /**
   * Records that a delivery is sent to all subscribers of its peer.
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
   * Records an acknowledgement of the oldest delivery for which `isIt` holds, because devices acknowledge in order of receipt.
   * @returns the delivery
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
