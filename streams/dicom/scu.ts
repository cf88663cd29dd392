/**
 * Sends DICOM files: C-ECHO and C-STORE with dcmjs-dimse, and STOW-RS (PS3.18) over HTTPS.
 * @module
 */
import { randomUUID } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import dimse from 'dcmjs-dimse'
import { CodedError } from '../../shared/errors.ts'
import { writePart10 } from './part10.ts'
import { type Abort, aborted, notAccepted, type Rejection, rejected } from './rejection.ts'

const { Client, constants, Dataset, log, requests } = dimse
type Association = InstanceType<typeof dimse.association.Association>

export interface DicomPeer {
  readonly host: string
  readonly port: number
  readonly calling: string
  readonly called: string
  /** PEM: certificate authority of the peer, and our own certificate and key. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined
}

log.setLevel('silent')

const TIMEOUT_MS = 30_000
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'

/**
 * Sends a C-ECHO.
 * @throws CodedError `unavailable` when there is no answer, and those of `rejected`, `aborted` and `notAccepted`
 */
export async function echo(peer: DicomPeer): Promise<void> {
  await send(peer, new requests.CEchoRequest())
}

/**
 * Sends a file by C-STORE.
 * @returns the peer's status: 0 for success, 0xBxxx for a warning
 * @throws CodedError `payload-malformed`, `field-invalid` for an unusable file, `delivery-refused` with the status of a failure,
 * `unavailable` when there is no answer, and those of `rejected`, `aborted` and `notAccepted`
 */
export async function storeFile(peer: DicomPeer, path: string): Promise<number> {
  const dataset = Dataset.fromFile(path)
  if (dataset === undefined) throw new CodedError('payload-malformed', { field: 'file' })
  for (const field of ['SOPClassUID', 'SOPInstanceUID']) {
    // Without them dcmjs-dimse throws where the error cannot be caught.
    if (typeof dataset.getElement(field) !== 'string') throw new CodedError('field-invalid', { field })
  }
  return send(peer, new requests.CStoreRequest(dataset))
}

/** Sends a data set of our own, given by its attributes. Same results as `storeFile`. */
export function storeAttributes(peer: DicomPeer, attributes: Readonly<Record<string, unknown>>): Promise<number> {
  return send(peer, new requests.CStoreRequest(new Dataset({ ...attributes }, EXPLICIT_LITTLE_ENDIAN)))
}

/** The same data set as a PS3.10 file. */
export function fileOf(attributes: Readonly<Record<string, unknown>>): Buffer {
  const body = new Dataset({ ...attributes }, EXPLICIT_LITTLE_ENDIAN).getDenaturalizedDataset()
  return writePart10(body, EXPLICIT_LITTLE_ENDIAN, {
    classUid: String(attributes.SOPClassUID),
    instanceUid: String(attributes.SOPInstanceUID),
  })
}

function send(peer: DicomPeer, request: InstanceType<typeof requests.CEchoRequest | typeof requests.CStoreRequest>) {
  return new Promise<number>((resolve, reject) => {
    const client = new Client()
    let status: number | undefined
    let isAssociated = false
    const address = `${peer.host}:${peer.port}`
    const unanswered = () => {
      const why = isAssociated ? 'the connection ended before it answered' : undefined
      reject(new CodedError('unavailable', { field: 'dicom', address, why }))
    }
    request.on('response', (response: { getStatus(): number }) => {
      status = response.getStatus()
    })
    client.addRequest(request)
    client.on('networkError', unanswered)
    client.on('associationRejected', (answer: Rejection) => reject(rejected(answer, address)))
    client.on('associationAccepted', (association: Association) => {
      isAssociated = true
      const results = association.getPresentationContexts().map(({ context }) => context.getResult())
      if (!results.includes(constants.PresentationContextResult.Accept)) reject(notAccepted(results.at(-1)!, address))
    })
    client.on('closed', () => {
      if (status === undefined) unanswered()
      else if (status === 0 || status >> 12 === 0xb) resolve(status)
      else reject(new CodedError('delivery-refused', { field: 'dicom', address, status, why: statusText(status) }))
    })
    const { host, port, calling, called, tls } = peer
    client.send(host, port, calling, called, {
      connectTimeout: TIMEOUT_MS,
      associationTimeout: TIMEOUT_MS,
      pduTimeout: TIMEOUT_MS,
      ...(tls === undefined ? {} : { securityOptions: { ...tls, rejectUnauthorized: true } }),
    })
    // Its types omit the connection, and only this one reports an abort.
    const network: Network = Reflect.get(client, 'network')
    network.on('abort', (abort: Abort) => {
      reject(aborted(abort, address))
      network.socket.destroy()
    })
  })
}

/** As standards and logs of archives write it. */
const statusText = (status: number) => `status 0x${status.toString(16).toUpperCase().padStart(4, '0')}`

/** A client's connection. */
type Network = EventEmitter & { readonly socket: Socket }

/**
 * Stores a file by STOW-RS.
 * @param file path or bytes
 * @param base DICOMweb address, to which `/studies` is added
 * @throws CodedError `unavailable` (no answer, 5xx, 401, 429), `delivery-refused` (the server will never accept it)
 */
export async function stow(base: string, file: string | Buffer, token?: string): Promise<void> {
  const boundary = randomUUID()
  const body = Buffer.concat([
    Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
    typeof file === 'string' ? readFileSync(file) : file,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ])
  const url = new URL('studies', base.endsWith('/') ? base : `${base}/`)
  const answer = await fetch(url, {
    method: 'POST',
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
      accept: 'application/dicom+json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body,
  }).catch((cause: unknown) => {
    throw new CodedError('unavailable', { field: 'dicomweb' }, { cause })
  })
  await answer.body?.cancel()
  // 202 means that some instances were refused; with a single file, that is this one.
  if (answer.status === 200) return
  const mayGoBetter = answer.status >= 500 || [401, 403, 408, 429].includes(answer.status)
  throw new CodedError(mayGoBetter ? 'unavailable' : 'delivery-refused', { field: 'dicomweb', status: answer.status })
}
