/**
 * Message sizes of a window: the bodies of the intake and screening messages, and the stored result.
 * @module
 */
import { randomUUID } from 'node:crypto'
import { fitsInline } from '../../shared/aws/payloads.ts'
import { streamEcgId } from '../../shared/domain/ecg-id.ts'
import { summaryOf } from '../../shared/domain/result-summary.ts'
import type { Waveform } from '../../shared/domain/waveform.ts'
import { screenWindow } from '../../shared/inference/screen.ts'
import type { Screener } from '../../shared/inference/screener.ts'
import type { IntakeMessage, ScreeningMessage } from '../../shared/messages.ts'
import { CARDIACNETS_V1 } from '../../shared/signal/profile.ts'
import { type PreparedWindow, WindowPreparer } from '../../shared/signal/window-preparer.ts'
import { quantile, round } from '../../shared/statistics.ts'
import { packResult } from '../../shared/store/results.ts'
import { encodeClean } from '../../shared/waveform/clean-codec.ts'
import { encodeWaveform, waveformSha256 } from '../../shared/waveform/codec.ts'

export interface MessageFigures {
  readonly p50Bytes: number
  readonly maxBytes: number
  /** Share of windows whose intake and screening messages both travel inline. */
  readonly inlineShare: number
  readonly screeningP50Bytes: number
  readonly resultP50Bytes: number
  readonly resultStoredP50Bytes: number
  /** Result for devices of a site that uses summaries. */
  readonly summaryP50Bytes: number
  readonly summaryMaxBytes: number
}

export async function benchMessages(windows: readonly Waveform[], screener: Screener): Promise<MessageFigures> {
  const preparer = new WindowPreparer(CARDIACNETS_V1)
  const sizes: {
    intake: number
    screening: number
    isInline: boolean
    result: number
    stored: number
    summary: number
  }[] = []
  for (const window of windows) {
    const packed = encodeWaveform(window)
    const prepared = preparer.prepare(window)
    const message = toScreeningMessage(window, prepared)
    const json = JSON.stringify(await screenWindow(screener, message, prepared.clean, 'bench'))
    sizes.push({
      intake: bodyBytes({ ...makeEnvelope(), waveform: { inline: base64(packed) } }),
      screening: bodyBytes(message),
      isInline: fitsInline(packed) && (prepared.clean === undefined || fitsInline(encodeClean(prepared.clean))),
      result: Buffer.byteLength(json),
      stored: packResult(json).length,
      summary: Buffer.byteLength(summaryOf(json)),
    })
  }
  const p50 = (of: 'intake' | 'screening' | 'result' | 'stored' | 'summary') =>
    quantile(
      sizes.map((size) => size[of]),
      0.5,
    )
  return {
    p50Bytes: p50('intake'),
    maxBytes: Math.max(...sizes.map(({ intake }) => intake)),
    inlineShare: round(sizes.filter(({ isInline }) => isInline).length / sizes.length, 4),
    screeningP50Bytes: p50('screening'),
    resultP50Bytes: p50('result'),
    resultStoredP50Bytes: p50('stored'),
    summaryP50Bytes: p50('summary'),
    summaryMaxBytes: Math.max(...sizes.map(({ summary }) => summary)),
  }
}

/** The message that `preprocess` makes from a window. */
export function screeningMessage(window: Waveform): ScreeningMessage {
  return toScreeningMessage(window, new WindowPreparer(CARDIACNETS_V1).prepare(window))
}

function toScreeningMessage(window: Waveform, { quality, clean }: PreparedWindow): ScreeningMessage {
  return {
    ...makeEnvelope(),
    profile: CARDIACNETS_V1.name,
    inputSha256: waveformSha256(window),
    quality,
    ...(clean && { clean: { inline: base64(encodeClean(clean)) } }),
  }
}

function makeEnvelope(): Omit<IntakeMessage, 'waveform' | 'heartRateBpm'> {
  const stream = { tenant: 'hospital-one', device: 'monitor-00421', session: randomUUID() }
  return {
    schema: 1,
    tenant: stream.tenant,
    ecgId: streamEcgId({ ...stream, source: 'mqtt', firstSample: 1_000_000 }),
    origin: { kind: 'mqtt', device: stream.device, session: stream.session },
    span: { startedAt: new Date(0).toISOString(), firstSample: 1_000_000, durationMs: 10_000 },
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const bodyBytes = (message: object) => Buffer.byteLength(JSON.stringify(message))
