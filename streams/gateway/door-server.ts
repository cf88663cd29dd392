/**
 * A TCP server of a door: plain on loopback; elsewhere only with mutual TLS or a list of peers. Reports which of these protects it.
 * @module
 */
import { X509Certificate } from 'node:crypto'
import { BlockList, createServer, isIP, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { CodedError } from '../../shared/errors.ts'
import { listen } from './listen.ts'

export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
  /** When present, a peer must have a certificate that this authority signed. */
  readonly ca?: Buffer | undefined
}

export interface DoorAddress {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly tls?: TlsFiles | undefined
  /** Addresses (`10.1.2.3`) and networks (`10.1.0.0/16`) that may connect; absent: all. */
  readonly peers?: readonly string[] | undefined
}

export interface OpenDoor {
  readonly port: number
  /** How the door is protected, for the log and `status`. */
  readonly guard: Guard
  readonly connections: number
  /** When the door's own certificate expires, ms since 1970; peers refuse it after that. */
  readonly certificateEndsMs: number | undefined
  close(): Promise<void>
}

export type Guard = 'loopback' | 'mutual-tls' | 'peers' | 'mutual-tls-and-peers'

/**
 * Most connections in total and per peer. A ward's devices and systems have some dozens, and a peer that floods takes none from the others.
 */
const MAX_CONNECTIONS = 512
const MAX_A_PEER = 64

/** Time limit of a TLS handshake. */
const HANDSHAKE_MS = 10_000

/**
 * How a door is protected.
 * @throws CodedError `site-config-invalid` for a door outside loopback without any protection
 */
export function guardOf({ host, tls, peers }: DoorAddress, name: string): Guard {
  const isMutual = tls?.ca !== undefined
  if (isMutual && peers !== undefined) return 'mutual-tls-and-peers'
  if (isMutual) return 'mutual-tls'
  if (peers !== undefined) return 'peers'
  if (isLoopback(host)) return 'loopback'
  throw new CodedError('site-config-invalid', {
    field: name,
    expected: 'mutual TLS or a list of peers outside loopback',
  })
}

/**
 * What a peer that has too many connections gets before its connection is closed, so that it tries again later. In MLLP only a message can be
 * answered.
 */
const TOO_MANY: Readonly<Record<string, Uint8Array>> = {
  // A-ASSOCIATE-RJ: rejected transient, by the presentation layer, local limit exceeded (PS3.8, 9.3.4).
  dicom: Uint8Array.of(0x03, 0, 0, 0, 0, 4, 0, 2, 3, 2),
  // CONNACK: server unavailable (MQTT 3.1.1, 3.2.2.3).
  mqtt: Uint8Array.of(0x20, 2, 0, 3),
}

/** A refused peer that does not close its side. */
const REFUSED_MS = 1000

function turnAway(socket: Socket, answer: Uint8Array): void {
  socket.on('error', () => {})
  // Unread bytes would reset the connection, and the answer would be lost.
  socket.resume()
  socket.end(answer)
  setTimeout(() => socket.destroy(), REFUSED_MS).unref()
}

/**
 * Opens a door. Each admitted connection is passed to `serve`.
 * @param onRefused called for each connection that is refused
 */
export async function openDoor(
  address: DoorAddress,
  name: string,
  serve: (socket: Socket) => void,
  onRefused: () => void = () => {},
): Promise<OpenDoor> {
  const guard = guardOf(address, name)
  const isPeer = peerCheck(address.peers, name)
  const sockets = new Map<Socket, string>()
  const admit = (socket: Socket): boolean => {
    const peer = socket.remoteAddress ?? ''
    const ofPeer = [...sockets.values()].filter((each) => each === peer).length
    const hasRoom = sockets.size < MAX_CONNECTIONS && ofPeer < MAX_A_PEER
    if (!isPeer(peer) || !hasRoom) {
      onRefused()
      const answer = TOO_MANY[name]
      if (isPeer(peer) && answer !== undefined) turnAway(socket, answer)
      else socket.destroy()
      return false
    }
    sockets.set(socket, peer)
    socket.once('close', () => sockets.delete(socket))
    // The protocol's server handles its own errors; none may end the process.
    socket.on('error', () => socket.destroy())
    socket.setNoDelay(true)
    return true
  }
  const server = serverFor(address, name, admit, serve, onRefused)
  const port = await listen(server, address.port, address.host, `gateway.${name}`)
  return {
    port,
    guard,
    certificateEndsMs: address.tls === undefined ? undefined : endOfCertificate(address.tls.cert, name),
    get connections() {
      return sockets.size
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets.keys()) socket.destroy()
      await closed
    },
  }
}

function serverFor(
  { tls }: DoorAddress,
  name: string,
  admit: (socket: Socket) => boolean,
  serve: (socket: Socket) => void,
  onRefused: () => void,
): Server {
  if (tls === undefined) {
    return createServer((socket) => {
      if (admit(socket)) serve(socket)
    })
  }
  const options: TlsOptions = {
    cert: tls.cert,
    key: tls.key,
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_MS,
    ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
  }
  const onSocket = (socket: Socket) => {
    if (admit(socket)) serve(socket)
  }
  let server: Server
  try {
    server = createTlsServer(options, onSocket)
  } catch (cause) {
    // An invalid certificate, or the key of another one.
    throw new CodedError(
      'site-config-invalid',
      { field: `${name}.tls`, expected: 'a certificate and its key, as PEM' },
      { cause },
    )
  }
  // An expired certificate, or none.
  server.on('tlsClientError', onRefused)
  return server
}

/** How long before its expiry a certificate must be renewed. */
const RENEWAL_MS = 14 * 24 * 3600 * 1000

/** Whether a door's own certificate has expired, or will soon. */
export const isEndingSoon = (
  { certificateEndsMs: ends }: Pick<OpenDoor, 'certificateEndsMs'>,
  nowMs: number,
): boolean => ends !== undefined && ends - nowMs < RENEWAL_MS

/** @throws CodedError `site-config-invalid` for an invalid certificate */
function endOfCertificate(pem: Buffer, name: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validTo)
  } catch (cause) {
    throw new CodedError(
      'site-config-invalid',
      { field: `gateway.${name}.tls.cert`, expected: 'a PEM certificate' },
      { cause },
    )
  }
}

function peerCheck(peers: readonly string[] | undefined, name: string): (address: string) => boolean {
  if (peers === undefined) return () => true
  const list = new BlockList()
  for (const peer of peers) {
    const [address = '', bits] = peer.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (isIP(address) === 0) throw new CodedError('site-config-invalid', { field: `${name}.peers` })
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (address) => {
    // An IPv4 peer on a dual-stack socket.
    const plain = address.replace(/^::ffff:/, '')
    return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}
