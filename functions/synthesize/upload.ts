/**
 * Uploads artifacts to the bucket. Each is read back before the next.
 * @module
 */
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { artifactKey, readObject, sha256 } from '../../shared/aws/payloads.ts'
import type { ArtifactEntry, CmrJob } from '../../shared/domain/cmr-job.ts'
import { CodedError } from '../../shared/errors.ts'
import type { Artifact } from './draw.ts'

const MAX_TRIES = 3

/** S3's codes for a body that differs from the one that was sent. */
const CORRUPT = ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch']

/**
 * Uploads artifacts in the given order. An object with the same name is replaced.
 * @throws CodedError `artifact-corrupt` naming the artifact that did not arrive unchanged
 */
export async function uploadArtifacts(
  { s3, bucket }: { readonly s3: S3Client; readonly bucket: string },
  { tenant, ecgId, jobId }: Pick<CmrJob, 'tenant' | 'ecgId' | 'jobId'>,
  artifacts: readonly Artifact[],
): Promise<readonly ArtifactEntry[]> {
  const entries: ArtifactEntry[] = []
  for (const { name, contentType, bytes } of artifacts) {
    const digest = sha256(bytes)
    const Key = artifactKey(tenant, ecgId, jobId, name)
    const put = new PutObjectCommand({
      Bucket: bucket,
      Key,
      Body: bytes,
      ContentType: contentType,
      ChecksumSHA256: Buffer.from(digest, 'hex').toString('base64'),
    })
    for (let tries = 1; !(await arrives(put, digest)); tries++) {
      if (tries === MAX_TRIES) throw new CodedError('artifact-corrupt', { field: name })
    }
    entries.push({ name, contentType, bytes: bytes.length, sha256: digest })
  }
  return entries

  async function arrives(put: PutObjectCommand, digest: string): Promise<boolean> {
    try {
      await s3.send(put)
    } catch (error) {
      if (error instanceof Error && CORRUPT.includes(error.name)) return false
      throw error
    }
    const stored = await readObject(s3, bucket, put.input.Key!)
    return stored !== undefined && sha256(stored) === digest
  }
}
