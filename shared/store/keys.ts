/**
 * Keys of every kind of row in the results table and in the audit trail. Stored rows have these formats, so they never change:
 * `test/shared/store/stored-rows.test.ts` reads a table of an older version.
 *
 * | row | `pk` | `sk` |
 * | --- | --- | --- |
 * | result | tenant#ecgId | result#bundle sha256#profile, then #site sha256 where there is one, then #v2 and so on |
 * | attribution of a result's scores | tenant#ecgId | attribution#bundle sha256#profile, then #v2 and so on |
 * | ECG in progress | tenant#ecgId | received |
 * | mark of a deleted ECG | tenant#ecgId | deleted |
 * | pointer from an ECG to a job | tenant#ecgId | cmr#jobId |
 * | CMR job | tenant#cmr#jobId | job |
 * | live session | tenant#session#device#session | head |
 * | digest of a session's window | tenant#session#device#session | window#first sample |
 * | associations of a device | tenant#device#device | associations |
 * | device with associations | tenant#devices | device |
 * | device that was on a patient | tenant#patient#hash of tenant and patient | device |
 * | result that waits for a patient | tenant#unidentified | device#time#ecgId |
 * | ECG of an EHR's resource | tenant#fhir#server | ecg#reference#ecgId |
 * | position of a search at the EHR | tenant#fhir#server | mark#criteria |
 * | imported version of a resource | tenant#fhir#server | taken#reference#version |
 * | version of a resource that a search queued | tenant#fhir#server | queued#reference#version |
 * | counter or slot of a quota | tenant#quota | kind#who#number |
 * | population for drift | drift#reference sha256 | population |
 * | drift of the last population | drift | last |
 * | audit entry, in its own table | tenant#day | time#random |
 *
 * No name of a tenant, device or session contains a `#`. Results and jobs are also in the index `byArrival`, under the parts `tenant` and
 * `tenant#cmr`.
 * @module
 */
import { createHash } from 'node:crypto'
import { type CmrJobId, type EcgId, parseCmrJobId, parseEcgId } from '../domain/ecg-id.ts'
import type { Result } from '../domain/result.ts'
import { CodedError } from '../errors.ts'

export type Key = { readonly pk: string; readonly sk: string }

/** Rows of one `pk`: those with a prefix, those between two keys (both included), or all. */
export type SortKeys =
  | { readonly prefix: string }
  | { readonly from: string; readonly to: string }
  | Record<string, never>

/** Sorts after every character of a name or a time. */
export const LAST = '~'

/** The resource of an EHR that holds an ECG. */
export interface EhrSource {
  readonly server: string
  readonly source: string
}

export interface SessionKey {
  readonly tenant: string
  readonly device: string
  readonly session: string
}

// ECGs

export const ecgPk = (tenant: string, ecgId: EcgId): string => `${tenant}#${ecgId}`
export const receivedKey = (tenant: string, ecgId: EcgId): Key => ({ pk: ecgPk(tenant, ecgId), sk: 'received' })
export const deletedKey = (tenant: string, ecgId: EcgId): Key => ({ pk: ecgPk(tenant, ecgId), sk: 'deleted' })

const RESULT = 'result#'
export const RESULTS = { from: RESULT, to: `${RESULT}${LAST}` } as const
/** One range with the mark of a deleted ECG and its results. */
export const RESULTS_AND_MARK = { from: 'deleted', to: RESULTS.to } as const
export const isResultKey = (sk: unknown): boolean => String(sk).startsWith(RESULT)
export const isDeletedKey = (sk: unknown): boolean => sk === 'deleted'

/** Version 1 is not in the key, because rows from before there were versions have none. */
export function resultKey(tenant: string, { ecgId, version, provenance }: Result): Key {
  const { modelSha256, profile, site } = provenance
  const parts = [modelSha256, profile, ...(site === undefined ? [] : [site]), ...(version === 1 ? [] : [`v${version}`])]
  return { pk: ecgPk(tenant, ecgId), sk: `${RESULT}${parts.join('#')}` }
}

/** A site calibration does not change the network's scores, so it is not in the key. */
export function attributionKey(
  tenant: string,
  { ecgId, version, provenance }: Pick<Result, 'ecgId' | 'version' | 'provenance'>,
): Key {
  const { modelSha256, profile } = provenance
  const parts = ['attribution', modelSha256, profile, ...(version === 1 ? [] : [`v${version}`])]
  return { pk: ecgPk(tenant, ecgId), sk: parts.join('#') }
}

export const LAST_DRIFT: Key = { pk: 'drift', sk: 'last' }

/** Position of a result in the index `byArrival`. */
export const resultArrival = (now: Date, { ecgId, provenance }: Result): string =>
  `${now.toISOString()}#${ecgId}#${provenance.modelSha256.slice(0, 8)}`

/** When a row of the index `byArrival` arrived, ISO 8601. */
export const arrivedAt = (arrival: unknown): string => first(arrival)

/** The ECG of a row whose `pk` is `ecgPk`. */
export const ecgIdOfPk = (pk: unknown): EcgId => ownEcgId(partsOf(pk)[1])

export const RESULT_PK_FORMAT = /^[\w.:-]+#[0-9a-f-]{36}$/
export const RESULT_SK_FORMAT = /^result#[0-9a-f]{64}#[\w.-]{1,64}(#[0-9a-f]{64})?(#v\d{1,9})?$/
export const RESULT_ARRIVAL_FORMAT = /^\d{4}-[\d:.TZ-]{19}#[0-9a-f-]{36}#[0-9a-f]{8}$/

// CMR jobs

const CMR = 'cmr#'
export const CMR_POINTERS = { prefix: CMR } as const
export const cmrJobKey = (tenant: string, jobId: CmrJobId): Key => ({ pk: `${tenant}#${CMR}${jobId}`, sk: 'job' })
export const cmrPointerKey = (tenant: string, ecgId: EcgId, jobId: CmrJobId): Key => ({
  pk: ecgPk(tenant, ecgId),
  sk: `${CMR}${jobId}`,
})
/** Part of the index `byArrival` that holds jobs. */
export const cmrPart = (tenant: string): string => `${tenant}#cmr`
/** Position of a job in that part; every change moves it to the end. */
export const jobArrival = (updatedAt: string, ecgId: EcgId, step?: number, steps?: number): string =>
  `${updatedAt}#${ecgId}#${step ?? ''}#${steps ?? ''}`
export function jobArrivalOf(arrival: unknown): { ecgId: EcgId; step?: number; steps?: number } {
  const [, id, step = '', steps = ''] = partsOf(arrival)
  return { ecgId: ownEcgId(id), ...(step === '' ? {} : { step: Number(step), steps: Number(steps) }) }
}
export const jobIdOfPk = (pk: unknown): CmrJobId => ownJobId(partsOf(pk)[2])

/** The job that a row of an ECG points to, if any. */
export function cmrJobOfRow(sk: unknown): CmrJobId | undefined {
  const text = String(sk)
  return text.startsWith(CMR) ? ownJobId(text.slice(CMR.length)) : undefined
}

// Live sessions

export const sessionPk = ({ tenant, device, session }: SessionKey): string => `${tenant}#session#${device}#${session}`
/** State of a session, with what was reported for each patient. */
export const headKey = (key: SessionKey): Key => ({ pk: sessionPk(key), sk: 'head' })
/** Zero-padded, so that keys sort in the order of the numbers. */
export const windowKey = (key: SessionKey, firstSample: number): Key => ({
  pk: sessionPk(key),
  sk: `window#${String(firstSample).padStart(16, '0')}`,
})
export const WINDOWS = { prefix: 'window#' } as const

// Devices and patients

export const associationsKey = (tenant: string, device: string): Key => ({
  pk: `${tenant}#device#${device}`,
  sk: 'associations',
})
export const devicesPk = (tenant: string): string => `${tenant}#devices`
export const deviceKey = (tenant: string, device: string): Key => ({ pk: devicesPk(tenant), sk: device })
/**
 * Rows of the devices that were ever on a patient; some may be on the patient no longer. Keys are seen in traces and logs of the cloud, so this
 * one does not name the patient.
 * @param patient a FHIR reference
 */
export function patientPk(tenant: string, patient: string): string {
  const hash = createHash('sha256').update(`${tenant}#${patient}`).digest('base64url')
  return `${tenant}#patient#${hash}`
}
export const waitingPk = (tenant: string): string => `${tenant}#unidentified`
export const waitingSk = (device: string, at: Date, ecgId: EcgId): string => `${device}#${at.toISOString()}#${ecgId}`
export const WAITING_SK_FORMAT = /^[\w.:-]{1,128}#[\w.:+-]{20,30}#[0-9a-f-]{36}$/

/** Device, time and ECG of a row of the waiting list. */
export function waitingOf(sk: unknown): { device: string; at: Date; ecgId: EcgId } {
  const [device = '', at = '', id] = partsOf(sk)
  return { device, at: new Date(at), ecgId: ownEcgId(id) }
}

// EHRs

export const ehrPk = (tenant: string, server: string): string => `${tenant}#fhir#${server}`
const EHR_ECG = 'ecg#'
export const EHR_ECGS = { prefix: EHR_ECG } as const
export const ehrEcgKey = (tenant: string, { server, source }: EhrSource, ecgId: EcgId): Key => ({
  pk: ehrPk(tenant, server),
  sk: `${EHR_ECG}${source}#${ecgId}`,
})
export function ehrEcgOf(sk: unknown): { source: string; ecgId: EcgId } {
  const [, source = '', id] = partsOf(sk)
  return { source, ecgId: ownEcgId(id) }
}
export const markKey = (tenant: string, server: string, criteria: string): Key => ({
  pk: ehrPk(tenant, server),
  sk: `mark#${criteria}`,
})
export const takenKey = (tenant: string, server: string, reference: string, version: string): Key => ({
  pk: ehrPk(tenant, server),
  sk: `taken#${reference}#${version}`,
})
export const queuedKey = (tenant: string, server: string, reference: string, version: string): Key => ({
  pk: ehrPk(tenant, server),
  sk: `queued#${reference}#${version}`,
})

// Counters

/**
 * @param who `tenant`, or the hash of a caller's subject
 * @param number of a time span or a slot
 */
export const quotaKey = (tenant: string, kind: string, who: string, number: number): Key => ({
  pk: `${tenant}#quota`,
  sk: `${kind}#${who}#${number}`,
})
export const populationKey = (sha256: string): Key => ({ pk: `drift#${sha256}`, sk: 'population' })

// The audit trail

export const auditPk = (tenant: string, at: Date): string => `${tenant}#${at.toISOString().slice(0, 10)}`
export const auditKey = (tenant: string, at: Date, random: string): Key => ({
  pk: auditPk(tenant, at),
  sk: `${at.toISOString()}#${random}`,
})
/** Range of entries between two times, both included. */
export const auditTimes = (since: Date, until: Date) => ({
  from: since.toISOString(),
  to: `${until.toISOString()}${LAST}`,
})
export const auditTime = (sk: unknown): Date => new Date(first(sk))

const partsOf = (key: unknown): readonly string[] => String(key).split('#')
const first = (key: unknown): string => partsOf(key)[0] ?? ''

/**
 * An id that this service stored.
 * @throws CodedError `internal` for any other text
 */
export function ownEcgId(text: string | undefined): EcgId {
  const ecgId = parseEcgId(text ?? '')
  if (ecgId === undefined) throw new CodedError('internal', { field: 'ecgId' })
  return ecgId
}

function ownJobId(text: string | undefined): CmrJobId {
  const jobId = parseCmrJobId(text ?? '')
  if (jobId === undefined) throw new CodedError('internal', { field: 'jobId' })
  return jobId
}
