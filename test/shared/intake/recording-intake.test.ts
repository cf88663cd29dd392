import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { fromPayload } from '../../../shared/aws/payloads.ts'
import { fileEcgId } from '../../../shared/domain/ecg-id.ts'
import { RecordingIntake } from '../../../shared/intake/recording-intake.ts'
import { IntakeMessage, parseMessage } from '../../../shared/messages.ts'
import { ResultStore } from '../../../shared/store/results.ts'
import { decodeWaveform, waveformSha256 } from '../../../shared/waveform/codec.ts'
import { BUCKET, startTestAws, TABLE, type TestAws } from '../../helpers/aws.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'

let aws: TestAws
let intake: RecordingIntake

beforeAll(async () => {
  aws = await startTestAws()
  const { sqs, s3, dynamo, intakeUrl: queueUrl } = aws
  intake = new RecordingIntake({ sqs, queueUrl, s3, bucket: BUCKET, results: new ResultStore(dynamo, TABLE) })
})
afterAll(() => aws.stop())
beforeEach(() => aws.receive(aws.intakeUrl))

const submission = (seconds: number) => {
  const recording = { ...syntheticRecording({ seconds }), startedAt: '2026-01-02T03:04:05.000Z', heartRateBpm: 72 }
  return { tenant: 'clinic', origin: { kind: 'upload' as const }, recording, sha256: String(seconds).padStart(64, '0') }
}

describe('RecordingIntake', () => {
  it.each([
    ['inline', 10, 1],
    ['as a claim check', 60, 6],
  ])('sends a recording %s (%i s) without losing a sample', async (_, seconds, windows) => {
    const { recording, ...rest } = submission(seconds)

    const submitted = await intake.submit({ recording, ...rest })

    expect(submitted).toEqual({ ecgId: fileEcgId(rest), windows })
    const [sent] = await aws.receive(aws.intakeUrl)
    const message = parseMessage(IntakeMessage, sent!.Body!)
    expect(message).toMatchObject({
      ecgId: submitted.ecgId,
      origin: { kind: 'upload' },
      span: { startedAt: recording.startedAt, firstSample: 0, durationMs: seconds * 1000 },
      heartRateBpm: 72,
    })
    const waveform = decodeWaveform(await fromPayload(aws.s3, BUCKET, message.waveform))
    expect(waveformSha256(waveform)).toBe(waveformSha256(recording))
  })
})
