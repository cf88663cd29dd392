/**
 * An ECG as intake and screening leave it: its waveform in the bucket, its result in the table.
 * @module
 */
import { putObject, waveformKey } from '../../shared/aws/payloads.ts'
import { type EcgId, fileEcgId } from '../../shared/domain/ecg-id.ts'
import type { Person, Recording } from '../../shared/domain/recording.ts'
import type { Provenance } from '../../shared/domain/result.ts'
import type { Origin } from '../../shared/messages.ts'
import { chooseWindow } from '../../shared/signal/choose-window.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { ResultStore } from '../../shared/store/results.ts'
import { encodeWaveform } from '../../shared/waveform/codec.ts'
import { BUCKET, TABLE, type TestAws } from './aws.ts'
import { syntheticRecording } from './recordings.ts'
import { makeResult } from './results.ts'

export interface StoredEcgOptions {
  readonly recording?: Recording
  readonly heartRateBpm?: number
  readonly person?: Person
  readonly origin?: Origin
  readonly provenance?: Partial<Provenance>
  /** Of an ECG that is stored already: a correction. */
  readonly corrects?: { readonly ecgId: EcgId; readonly version: number }
}

/** @returns what was stored, with the clean window that was judged */
export async function storedEcg(
  aws: Pick<TestAws, 's3' | 'dynamo'>,
  tenant: string,
  {
    recording = syntheticRecording(),
    heartRateBpm,
    person,
    origin = { kind: 'upload' },
    corrects,
    ...rest
  }: StoredEcgOptions = {},
) {
  const chosen = chooseWindow(new WindowPreparer(CARDIACNETS_V1), recording, heartRateBpm)
  const { ecgId, version } = corrects ?? { ecgId: fileEcgId({ tenant, sha256: chosen.inputSha256 }), version: 1 }
  const { provenance } = makeResult()
  const result = makeResult({
    ecgId,
    version,
    quality: chosen.prepared.quality,
    provenance: { ...provenance, ...rest.provenance, inputSha256: chosen.inputSha256 },
  })
  await putObject(aws.s3, BUCKET, waveformKey('raw', tenant, ecgId, version), encodeWaveform(recording))
  await new ResultStore(aws.dynamo, TABLE).putOnce(tenant, origin, result, new Date(), person)
  return { ecgId, result, clean: chosen.prepared.clean! }
}
