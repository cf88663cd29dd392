/**
 * The window that screening analysed, prepared again from the stored recording. Clean windows are not stored, because they follow from raw
 * ones.
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

/** The network's input for an ECG, and the result. */
export interface JudgedWindow {
  readonly result: Result
  readonly clean: CleanWindow
  readonly person?: Person | undefined
  /** Start of the window in the stored recording, seconds. */
  readonly fromS: number
}

export interface Stores {
  readonly results: Pick<ResultStore, 'judged'>
  readonly s3: S3Client
  readonly bucket: string
}

/**
 * Reads a recording and prepares its window again.
 * @param version of the ECG; the newest without it
 * @throws CodedError `not-found` for a result or recording that is not stored (any more), `claim-check-mismatch` when no window of the
 * recording is the one that was screened, `ecg-refused`
 */
export async function judgedWindow(
  { results, s3, bucket }: Stores,
  tenant: string,
  ecgId: EcgId,
  version?: number,
): Promise<JudgedWindow> {
  const judged = await results.judged(tenant, ecgId, version)
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
  // A heart rate that differs from our own came from the device.
  const isOurs = detected.quality.heartRateBpm === quality.heartRateBpm || quality.heartRateBpm === null
  const { clean } = isOurs ? detected : preparer.prepare(window, quality.heartRateBpm!)
  if (clean === undefined) throw new CodedError('ecg-refused', { field: 'quality' })
  return { clean, fromS: start / recording.rateHz }
}
