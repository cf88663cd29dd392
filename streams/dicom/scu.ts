/**
 * Sends DICOM files: C-ECHO and C-STORE by dcmjs-dimse, and STOW-RS (PS3.18) over HTTPS.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import dimse from 'dcmjs-dimse'
import { CodedError } from '../../shared/errors.ts'
import { writePart10 } from './part10.ts'

const { Client, Dataset, log, requests } = dimse

export interface DicomPeer {
  readonly host: string
  readonly port: number
  readonly calling: string
  readonly called: string
  /** PEM of the authority that signed the peer's certificate, and ours. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer } | undefined
}

log.setLevel('silent')

const TIMEOUT_MS = 30_000
const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1'

/** @throws CodedError `unavailable` where nobody answers or the association is refused */
export async function echo(peer: DicomPeer): Promise<void> {
  await send(peer, new requests.CEchoRequest())
}

/**
 * @returns the peer's status, 0 for success and 0xBxxx for a warning
 * @throws CodedError `delivery-refused` with the status for a failure, `unavailable` where nobody answers or the association is refused
 */
export async function storeFile(peer: DicomPeer, path: string): Promise<number> {
  const dataset = Dataset.fromFile(path)
  if (dataset === undefined) throw new CodedError('payload-malformed', { field: 'file' })
  for (const field of ['SOPClassUID', 'SOPInstanceUID']) {
    // Without them dcmjs-dimse throws where nobody can catch it.
    if (typeof dataset.getElement(field) !== 'string') throw new CodedError('field-invalid', { field })
  }
  return send(peer, new requests.CStoreRequest(dataset))
}

/** A data set of our own, by its attributes; the same answers as `storeFile`. */
export function storeAttributes(peer: DicomPeer, attributes: Readonly<Record<string, unknown>>): Promise<number> {
  return send(peer, new requests.CStoreRequest(new Dataset({ ...attributes }, EXPLICIT_LITTLE_ENDIAN)))
}

/** The same as a file of PS3.10. */
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
    const address = `${peer.host}:${peer.port}`
    const unreachable = () => reject(new CodedError('unavailable', { field: 'dicom', address }))
    request.on('response', (response: { getStatus(): number }) => {
      status = response.getStatus()
    })
    client.addRequest(request)
    client.on('networkError', unreachable)
    client.on('associationRejected', unreachable)
    client.on('closed', () => {
      if (status === undefined) unreachable()
      else if (status === 0 || status >> 12 === 0xb) resolve(status)
      else reject(new CodedError('delivery-refused', { field: 'dicom', status }))
    })
    const { host, port, calling, called, tls } = peer
    client.send(host, port, calling, called, {
      connectTimeout: TIMEOUT_MS,
      associationTimeout: TIMEOUT_MS,
      pduTimeout: TIMEOUT_MS,
      ...(tls === undefined ? {} : { securityOptions: { ...tls, rejectUnauthorized: true } }),
    })
  })
}

/**
 * Stores a file by STOW-RS.
 * @param file its path, or its bytes
 * @param base the DICOMweb address, to which `/studies` is added
 * @throws CodedError `unavailable` (nobody, 5xx, 401, 429), `delivery-refused` (what the server will never take)
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
  // 202 says that some were refused; of one file, that is this one.
  if (answer.status === 200) return
  const mayGoBetter = answer.status >= 500 || [401, 403, 408, 429].includes(answer.status)
  throw new CodedError(mayGoBetter ? 'unavailable' : 'delivery-refused', { field: 'dicomweb', status: answer.status })
}
