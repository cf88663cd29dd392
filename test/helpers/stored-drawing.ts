/**
 * A drawing as the container leaves it: its files in the bucket, its job done.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { artifactKey, putObject } from '../../shared/aws/payloads.ts'
import type { CmrJobStore } from '../../shared/store/cmr-jobs.ts'
import { BUCKET } from './aws.ts'

type Drawing = Parameters<CmrJobStore['submit']>[1]

/** @returns the job's id */
export async function storedDrawing(
  { jobs, s3 }: { readonly jobs: CmrJobStore; readonly s3: S3Client },
  tenant: string,
  drawing: Drawing,
  at: Date,
): Promise<string> {
  const { ecgId, seed, sampler, bundleSha256: modelSha256 } = drawing
  const { jobId } = await jobs.submit(tenant, drawing, at)
  const job = { tenant, jobId, worker: 'w1' }
  await jobs.begin(job, ecgId, at)
  const views = ['sax', '4ch'].map((view, i) => ({ view, seriesUid: `1.${i}`, instanceUid: `2.${i}`, frames: 50 }))
  const manifest = {
    drawing: { seed, sampler, modelSha256 },
    model: 'compact@1',
    evidence: 'virtual',
    studyUid: '2.25.1',
    views,
    files: views.map(({ view }) => ({ name: `${view}.webp`, contentType: 'image/webp' })),
  }
  const files = { 'sax.webp': 'picture', '4ch.webp': 'picture', 'manifest.json': JSON.stringify(manifest) }
  for (const [name, text] of Object.entries(files)) {
    await putObject(s3, BUCKET, artifactKey(tenant, ecgId, jobId, name), Buffer.from(text))
  }
  const artifacts = Object.entries(files).map(([name, text]) => ({
    name,
    contentType: 'image/webp',
    bytes: text.length,
    sha256: 'e'.repeat(64),
  }))
  await jobs.finish(job, ecgId, { artifacts }, at)
  return jobId
}
