/**
 * Claim checks: a payload travels inline while the message stays within one billing unit; a larger one goes to the bucket.
 * @module
 */
import { createHash } from 'node:crypto'
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  NoSuchKey,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import type { CmrJobId, EcgId } from '../domain/ecg-id.ts'
import { CodedError } from '../errors.ts'
import { INLINE_LIMIT_BYTES, type Payload } from '../messages.ts'

/** Bytes reserved for the rest of a message and its attributes in the worst case (measured: 0.7 to 1.2 KB). */
const ENVELOPE_BYTES = 2048

/** True when `bytes`, encoded as base64, fit into one message beside the envelope. */
export function fitsInline(bytes: Uint8Array): boolean {
  return Math.ceil(bytes.length / 3) * 4 <= INLINE_LIMIT_BYTES - ENVELOPE_BYTES
}

/** Returns the payload inline where it fits. Otherwise stores it under `key` and returns the claim. */
export async function toPayload(s3: S3Client, bucket: string, key: string, bytes: Uint8Array): Promise<Payload> {
  if (fitsInline(bytes)) return { inline: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') }
  return putObject(s3, bucket, key, bytes)
}

/** Stores bytes and returns the claim for them. The same key always gets the same bytes, so a repeated write is harmless. */
export async function putObject(s3: S3Client, bucket: string, key: string, bytes: Uint8Array) {
  await s3.send(
    new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes, ContentType: 'application/octet-stream' }),
  )
  return { key, sha256: sha256(bytes), bytes: bytes.length }
}

/**
 * Reads the bytes of a payload.
 * @throws CodedError `claim-check-mismatch` when the object's size or hash differs from the claim
 */
export async function fromPayload(s3: S3Client, bucket: string, payload: Payload): Promise<Uint8Array> {
  if ('inline' in payload) return Buffer.from(payload.inline, 'base64')
  const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: payload.key }))
  const bytes = await bytesOf(object)
  if (bytes.length !== payload.bytes || sha256(bytes) !== payload.sha256) {
    throw new CodedError('claim-check-mismatch', { field: 'waveform' })
  }
  return bytes
}

/** The body of an object. S3 always sends one; only the SDK's type allows for none. */
async function bytesOf({ Body }: GetObjectCommandOutput): Promise<Uint8Array> {
  if (Body === undefined) throw new Error('S3 sent an object without a body')
  return await Body.transformToByteArray()
}

/** The bytes under a key, or `undefined` when there is no such object. */
export async function readObject(s3: S3Client, bucket: string, key: string): Promise<Uint8Array | undefined> {
  try {
    const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    return await bytesOf(object)
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined
    throw error
  }
}

/**
 * Key of a window's object. Raw windows are kept; a clean window is derived from the raw one and exists only while it travels. A correction
 * has other samples than the version that it corrects, and therefore its own key under the same prefix.
 */
export function waveformKey(kind: 'raw' | 'clean', tenant: string, ecgId: EcgId, version = 1): string {
  return `${kind}/${tenant}/${ecgId}${version === 1 ? '' : `.v${version}`}`
}

/** Prefix of everything that was made from an ECG on request: cines and their previews. */
export function artifactPrefix(tenant: string, ecgId: EcgId): string {
  return `artifacts/${tenant}/${ecgId}/`
}

/** Key of an artifact of a CMR job. */
export function artifactKey(tenant: string, ecgId: EcgId, jobId: CmrJobId, name: string): string {
  return `${artifactPrefix(tenant, ecgId)}cmr/${jobId}/${name}`
}

/** Removes the artifacts of a CMR job. */
export async function removeArtifacts(s3: S3Client, bucket: string, tenant: string, ecgId: EcgId, jobId: CmrJobId) {
  await removeObjects(s3, bucket, artifactKey(tenant, ecgId, jobId, ''))
}

/**
 * Removes all objects of an ECG, with every earlier version.
 * @returns number of versions that were removed
 * @throws CodedError `unavailable` when S3 could not remove some of them
 */
export async function removeEcgObjects(s3: S3Client, bucket: string, tenant: string, ecgId: EcgId): Promise<number> {
  const counts = await Promise.all(ecgPrefixes(tenant, ecgId).map((prefix) => removeObjects(s3, bucket, prefix)))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Whether the bucket holds any object of an ECG. */
export async function hasEcgObjects(s3: S3Client, bucket: string, tenant: string, ecgId: EcgId): Promise<boolean> {
  for (const Prefix of ecgPrefixes(tenant, ecgId)) {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix, MaxKeys: 1 }))
    if (Contents.length > 0) return true
  }
  return false
}

function ecgPrefixes(tenant: string, ecgId: EcgId): readonly string[] {
  return [waveformKey('raw', tenant, ecgId), waveformKey('clean', tenant, ecgId), artifactPrefix(tenant, ecgId)]
}

async function removeObjects(s3: S3Client, Bucket: string, Prefix: string): Promise<number> {
  for (let removed = 0; ; ) {
    const { Versions = [], DeleteMarkers = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }))
    // The local stack's S3 keeps no versions and lists none.
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix }))
    const versions = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }))
    const Objects = versions.length > 0 ? versions : Contents.map(({ Key }) => ({ Key }))
    if (Objects.length === 0) return removed
    const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }))
    if (Errors.length > 0) throw new CodedError('unavailable', { field: 'waveform' })
    removed += Objects.length
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
