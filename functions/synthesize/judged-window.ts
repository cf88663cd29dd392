/**
 * The window that screening judged, prepared again from what is stored: clean windows are not kept, as they follow from the raw ones.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { readObject, waveformKey } from '../../shared/aws/payloads.ts'
import type { EcgId } from '../../shared/domain/ecg-id.ts'
import type { Result } from '../../shared/domain/result.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { cutWindow, slidingStarts } from '../../shared/domain/window.ts'
import { CodedError } from '../../shared/errors.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import type { ResultStore } from '../../shared/store/results.ts'
import type { CleanWindow } from '../../shared/waveform/clean-codec.ts'
import { decodeWaveform, waveformSha256 } from '../../shared/waveform/codec.ts'
import type { Drawable } from './draw.ts'

export interface Stores {
  readonly results: Pick<ResultStore, 'judged'>
  readonly s3: S3Client
  readonly bucket: string
}

/**
 * @throws CodedError `not-found` for what is not stored (any more), `claim-check-mismatch` where no window of the recording is the one that was
 * judged, `ecg-refused`
 */
export async function judgedWindow({ results, s3, bucket }: Stores, tenant: string, ecgId: EcgId): Promise<Drawable> {
  const judged = await results.judged(tenant, ecgId)
  if (judged === undefined) throw new CodedError('not-found', { field: 'ecg' })
  const { result, person } = judged
  const packed = await readObject(s3, bucket, waveformKey('raw', tenant, ecgId, result.version))
  if (packed === undefined) throw new CodedError('not-found', { field: 'waveform' })
  return { result, clean: cleanAgain(decodeWaveform(packed), result), ...(person === undefined ? {} : { person }) }
}

function cleanAgain(recording: Waveform, { provenance, quality }: Result): CleanWindow {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const window = slidingStarts(recording)
    .map((start) => cutWindow(recording, start))
    .find((each) => waveformSha256(each) === provenance.inputSha256)
  if (window === undefined) throw new CodedError('claim-check-mismatch', { field: 'waveform' })
  const detected = preparer.prepare(window)
  // Another heart rate than ours is what the device said.
  const isOurs = detected.quality.heartRateBpm === quality.heartRateBpm || quality.heartRateBpm === null
  const { clean } = isOurs ? detected : preparer.prepare(window, quality.heartRateBpm!)
  if (clean === undefined) throw new CodedError('ecg-refused', { field: 'quality' })
  return clean
}
