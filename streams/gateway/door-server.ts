/**
 * A TCP door: plain on loopback; anywhere else only with mutual TLS or a list of peers. Says which.
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
  /** With it, a peer must show a certificate that this authority signed. */
  readonly ca?: Buffer | undefined
}

export interface DoorAddress {
  readonly host: string
  /** 0 takes any. */
  readonly port: number
  readonly tls?: TlsFiles | undefined
  /** Addresses (`10.1.2.3`) and networks (`10.1.0.0/16`) that may connect; anybody when absent. */
  readonly peers?: readonly string[] | undefined
}

export interface OpenDoor {
  readonly port: number
  /** How it is guarded, for the log and `status`. */
  readonly guard: Guard
  readonly connections: number
  /** When the door's own certificate ends, ms since 1970: peers refuse it from then on. */
  readonly certificateEndsMs: number | undefined
  close(): Promise<void>
}

export type Guard = 'loopback' | 'mutual-tls' | 'peers' | 'mutual-tls-and-peers'

/** Connections at once: a ward's devices and systems have some dozens. A peer that floods takes none from the others. */
const MAX_CONNECTIONS = 512
const MAX_A_PEER = 64

/** How long a TLS peer may take to show who it is. */
const HANDSHAKE_MS = 10_000

/**
 * How a door would be guarded.
 * @throws CodedError `site-config-invalid` for one outside loopback that asks nobody who they are
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
 * Opens it; each connection that may come in is handed to `serve`.
 * @param onRefused is told of each that may not
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
    const isAdmitted = isPeer(peer) && sockets.size < MAX_CONNECTIONS && ofPeer < MAX_A_PEER
    if (!isAdmitted) {
      onRefused()
      socket.destroy()
      return false
    }
    sockets.set(socket, peer)
    socket.once('close', () => sockets.delete(socket))
    // The protocol's server listens for errors of its own; none may end the process.
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
    // A certificate that is none, a key of another one.
    throw new CodedError(
      'site-config-invalid',
      { field: `${name}.tls`, expected: 'a certificate and its key, as PEM' },
      { cause },
    )
  }
  // A certificate that has expired, or none.
  server.on('tlsClientError', onRefused)
  return server
}

/** How long before its end a certificate must be renewed. */
const RENEWAL_MS = 14 * 24 * 3600 * 1000

/** Whether a door's own certificate has ended, or will before anybody renews it. */
export const isEndingSoon = (
  { certificateEndsMs: ends }: Pick<OpenDoor, 'certificateEndsMs'>,
  nowMs: number,
): boolean => ends !== undefined && ends - nowMs < RENEWAL_MS

/** @throws CodedError `site-config-invalid` for what is no certificate */
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
    // An IPv4 peer of a socket that speaks both.
    const plain = address.replace(/^::ffff:/, '')
    return list.check(plain, isIP(plain) === 6 ? 'ipv6' : 'ipv4')
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}
