/**
 * The window that screening judged, prepared again from what is stored: clean windows are not kept, as they follow from the raw ones.
 * @module
 */
import type { S3Client } from '@aws-sdk/client-s3'
import { readObject, waveformKey } from '../aws/payloads.ts'
import type { EcgId } from '../domain/ecg-id.ts'
import type { Person } from '../domain/recording.ts'
import type { Result } from '../domain/result.ts'
import type { Waveform } from '../domain/waveform.ts'
import { cutWindow, slidingStarts } from '../domain/window.ts'
import { CodedError } from '../errors.ts'
import { CARDIACNETS_V1 } from '../signal/profile.ts'
import { WindowPreparer } from '../signal/window-preparer.ts'
import type { ResultStore } from '../store/results.ts'
import type { CleanWindow } from '../waveform/clean-codec.ts'
import { decodeWaveform, waveformSha256 } from '../waveform/codec.ts'

/** What a network was shown of an ECG, with what it said. */
export interface JudgedWindow {
  readonly result: Result
  readonly clean: CleanWindow
  readonly person?: Person | undefined
  /** Where the window begins in the recording that is stored, seconds. */
  readonly fromS: number
}

export interface Stores {
  readonly results: Pick<ResultStore, 'judged'>
  readonly s3: S3Client
  readonly bucket: string
}

/**
 * @throws CodedError `not-found` for what is not stored (any more), `claim-check-mismatch` where no window of the recording is the one that was
 * judged, `ecg-refused`
 */
export async function judgedWindow(
  { results, s3, bucket }: Stores,
  tenant: string,
  ecgId: EcgId,
): Promise<JudgedWindow> {
  const judged = await results.judged(tenant, ecgId)
  if (judged === undefined) throw new CodedError('not-found', { field: 'ecg' })
  const { result, person } = judged
  const packed = await readObject(s3, bucket, waveformKey('raw', tenant, ecgId, result.version))
  if (packed === undefined) throw new CodedError('not-found', { field: 'waveform' })
  return { result, ...cleanAgain(decodeWaveform(packed), result), ...(person === undefined ? {} : { person }) }
}

function cleanAgain(recording: Waveform, { provenance, quality }: Result): Pick<JudgedWindow, 'clean' | 'fromS'> {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const found = slidingStarts(recording)
    .map((start) => ({ start, window: cutWindow(recording, start) }))
    .find(({ window }) => waveformSha256(window) === provenance.inputSha256)
  if (found === undefined) throw new CodedError('claim-check-mismatch', { field: 'waveform' })
  const { start, window } = found
  const detected = preparer.prepare(window)
  // Another heart rate than ours is what the device said.
  const isOurs = detected.quality.heartRateBpm === quality.heartRateBpm || quality.heartRateBpm === null
  const { clean } = isOurs ? detected : preparer.prepare(window, quality.heartRateBpm!)
  if (clean === undefined) throw new CodedError('ecg-refused', { field: 'quality' })
  return { clean, fromS: start / recording.rateHz }
}
