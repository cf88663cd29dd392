/**
 * The DICOM input of the gateway: C-STORE of ECG waveforms, C-ECHO and storage commitment, with dcmjs-dimse. A peer gets a success status
 * when its instance is stored.
 *
 * The data set is kept as received and read by `streams/formats/dicom`; dcmjs would first parse each into objects.
 * @module
 */
import type { Socket } from 'node:net'
import { Writable } from 'node:stream'
import dimse from 'dcmjs-dimse'
import { type CodedError, toCodedError } from '../../shared/errors.ts'
import { writePart10 } from './part10.ts'
import { ACCEPTED_SYNTAXES, COMMITMENT, COMMITMENT_INSTANCE, isStored, VERIFICATION } from './uids.ts'

const { Dataset, log, Scp, constants, requests, responses } = dimse
type AssociationType = InstanceType<typeof dimse.association.Association>
type StoreRequest = InstanceType<typeof requests.CStoreRequest>

/** An instance received by C-STORE. */
export interface StoredInstance {
  /** As a PS3.10 file. */
  readonly file: Buffer
  readonly classUid: string
  readonly instanceUid: string
}

/** Outcome of storing an instance: `no-samples` for a PDF, which is counted and not kept. */
export type StoreVerdict = 'stored' | 'no-samples'

export interface DicomDoorOptions {
  readonly aeTitle: string
  readonly allow: readonly string[]
  readonly maxBytes: number
  /**
   * Returns when the instance is on disk.
   * @throws CodedError for an instance that cannot be stored
   */
  readonly store: (instance: StoredInstance) => StoreVerdict
  /** Whether an instance is on disk (or was, and has been forwarded). Storage commitment depends on it. */
  readonly isKept: (instanceUid: string) => boolean
  readonly onAnswered: (kind: 'association' | 'store' | 'commitment', error?: CodedError | 'not-allowed') => void
}

/** Status codes of PS3.7 annex C and PS3.4 annex B. */
const STATUS = {
  success: 0x0000,
  /** Elements discarded: a PDF has no samples, and nothing of it was kept. */
  discarded: 0xb006,
  outOfResources: 0xa700,
  mismatch: 0xa900,
  cannotUnderstand: 0xc000,
  notFound: 0x0112,
} as const

log.setLevel('silent')

/** Serves one connection. */
export function serveDicom(socket: Socket, options: DicomDoorOptions): void {
  new EcgScp(socket, options)
}

class EcgScp extends Scp {
  readonly #options: DicomDoorOptions
  readonly #socket: Socket
  readonly #bytes = new WeakMap<object, Buffer>()

  constructor(socket: Socket, options: DicomDoorOptions) {
    super(socket, { associationTimeout: 60_000, pduTimeout: 60_000, connectTimeout: 30_000 })
    this.#socket = socket
    this.#options = options
    // The library's message quotes what was received; closing the connection is enough.
    this.on('networkError', () => socket.destroy())
  }

  override associationRequested(association: AssociationType): void {
    const { aeTitle, allow, onAnswered } = this.#options
    const { RejectResult, RejectSource, RejectReason } = constants
    const isKnown = allow.includes(association.getCallingAeTitle().trim())
    const isOurs = association.getCalledAeTitle().trim() === aeTitle
    if (!isKnown || !isOurs) {
      onAnswered('association', 'not-allowed')
      const reason = isKnown ? RejectReason.CalledAeNotRecognized : RejectReason.CallingAeNotRecognized
      this.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, reason)
      return
    }
    for (const { context } of association.getPresentationContexts()) acceptContext(context)
    onAnswered('association')
    this.sendAssociationAccept()
  }

  override associationReleaseRequested(): void {
    this.sendAssociationReleaseResponse()
  }

  /** What was received of an unfinished instance is dropped; a stored one stays. */
  override abort(): void {
    this.#socket.destroy()
  }

  override cEchoRequest(
    request: InstanceType<typeof requests.CEchoRequest>,
    callback: (response: InstanceType<typeof responses.CEchoResponse>) => void,
  ): void {
    const response = responses.CEchoResponse.fromRequest(request)
    response.setStatus(STATUS.success)
    callback(response)
  }

  override createStoreWritableStream(): Writable {
    const chunks: Buffer[] = []
    let bytes = 0
    const { maxBytes } = this.#options
    const socket = this.#socket
    const stream = new Writable({
      highWaterMark: Number.MAX_SAFE_INTEGER,
      write(chunk: Buffer, _encoding, done) {
        bytes += chunk.length
        // A PDU cannot be refused half-way. The association ends, and nothing was stored.
        if (bytes > maxBytes) socket.destroy()
        else chunks.push(Buffer.from(chunk))
        done()
      },
    })
    this.#bytes.set(stream, Buffer.alloc(0))
    return Object.assign(stream, { whole: () => Buffer.concat(chunks) })
  }

  override createDatasetFromStoreWritableStream(
    writable: Writable,
    context: { getAcceptedTransferSyntaxUid(): string | undefined },
    callback: (dataset: InstanceType<typeof Dataset>) => void,
  ): void {
    const syntax = context.getAcceptedTransferSyntaxUid() ?? ACCEPTED_SYNTAXES[0]!
    const dataset = new Dataset({}, syntax)
    this.#bytes.set(dataset, (writable as Writable & { whole(): Buffer }).whole()) // as it was made above
    callback(dataset)
  }

  override cStoreRequest(
    request: StoreRequest,
    callback: (response: InstanceType<typeof responses.CStoreResponse>) => void,
  ): void {
    const response = responses.CStoreResponse.fromRequest(request)
    const { store, onAnswered } = this.#options
    try {
      const dataset = request.getDataset()
      const body = dataset === undefined ? undefined : this.#bytes.get(dataset)
      const verdict = store({
        file: writePart10(body ?? Buffer.alloc(0), dataset?.getTransferSyntaxUid() ?? ACCEPTED_SYNTAXES[0]!),
        classUid: request.getAffectedSopClassUid(),
        instanceUid: request.getAffectedSopInstanceUid(),
      })
      response.setStatus(verdict === 'stored' ? STATUS.success : STATUS.discarded)
      onAnswered('store')
    } catch (cause) {
      const error = toCodedError(cause)
      response.setStatus(statusOf(error))
      // Our own coded message, without received values. At most 64 characters (PS3.7 annex C).
      response.setErrorComment(error.message.slice(0, 64))
      onAnswered('store', error)
    }
    callback(response)
  }

  override nActionRequest(
    request: InstanceType<typeof requests.NActionRequest>,
    callback: (response: InstanceType<typeof responses.NActionResponse>) => void,
  ): void {
    const response = responses.NActionResponse.fromRequest(request)
    const dataset = request.getDataset()
    const transaction = dataset?.getElement('TransactionUID')
    const asked = referencesOf(dataset?.getElements().ReferencedSOPSequence)
    if (request.getRequestedSopClassUid() !== COMMITMENT || typeof transaction !== 'string' || asked.length === 0) {
      response.setStatus(STATUS.cannotUnderstand)
      callback(response)
      return
    }
    response.setStatus(STATUS.success)
    callback(response)
    this.#options.onAnswered('commitment')
    this.sendRequests(this.#commitmentReport(transaction, asked))
  }

  /** Instances that we commit to, and those that we do not (failure 0x0112: no such object instance). */
  #commitmentReport(transaction: string, asked: readonly Reference[]) {
    const kept = asked.filter(({ ReferencedSOPInstanceUID: uid }) => this.#options.isKept(uid))
    const failed = asked
      .filter((each) => !kept.includes(each))
      .map((each) => ({ ...each, FailureReason: STATUS.notFound }))
    const report = new requests.NEventReportRequest(COMMITMENT, COMMITMENT_INSTANCE, failed.length === 0 ? 1 : 2)
    report.setDataset(
      new Dataset({
        TransactionUID: transaction,
        ...(kept.length === 0 ? {} : { ReferencedSOPSequence: kept }),
        ...(failed.length === 0 ? {} : { FailedSOPSequence: failed }),
      }),
    )
    return report
  }
}

interface Reference {
  readonly ReferencedSOPClassUID: string
  readonly ReferencedSOPInstanceUID: string
}

const MAX_REFERENCES = 1000

function referencesOf(sequence: unknown): readonly Reference[] {
  if (!Array.isArray(sequence)) return []
  return sequence.slice(0, MAX_REFERENCES).filter((item): item is Reference => {
    return typeof item?.ReferencedSOPClassUID === 'string' && typeof item?.ReferencedSOPInstanceUID === 'string'
  })
}

type Context = ReturnType<AssociationType['getPresentationContexts']>[number]['context']

function acceptContext(context: Context): void {
  const { PresentationContextResult } = constants
  const abstract = context.getAbstractSyntaxUid()
  if (!isStored(abstract) && abstract !== VERIFICATION && abstract !== COMMITMENT) {
    context.setResult(PresentationContextResult.RejectAbstractSyntaxNotSupported)
    return
  }
  const syntax = ACCEPTED_SYNTAXES.find((each) => context.getTransferSyntaxUids().includes(each))
  if (syntax === undefined) context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported)
  else context.setResult(PresentationContextResult.Accept, syntax)
}

function statusOf({ code }: CodedError): number {
  if (code === 'disk-full' || code === 'payload-too-large') return STATUS.outOfResources
  if (code === 'format-unsupported' || code === 'lead-missing' || code === 'association-mismatch')
    return STATUS.mismatch
  return STATUS.cannotUnderstand
}
