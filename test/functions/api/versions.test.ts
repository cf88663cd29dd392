import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { putObject, waveformKey } from '../../../shared/aws/payloads.ts'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import { IntakeMessage, parseMessage } from '../../../shared/messages.ts'
import { encodeWaveform } from '../../../shared/waveform/codec.ts'
import { apiCloud } from '../../../streams/gateway/cloud.ts'
import type { Envelope } from '../../../streams/gateway/stored-ecg.ts'
import { BUCKET } from '../../helpers/aws.ts'
import { syntheticRecording } from '../../helpers/recordings.ts'
import { startTestApi, type TestApi } from './helpers.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api.stop())

const read = async (path: string) => {
  const answer = await api.as('clinic', path)
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

describe('versions of an ECG', () => {
  it('can be read separately; the newest is the default', async () => {
    const origin = { kind: 'mqtt', device: 'd1', session: 's1' } as const
    const { ecgId } = await api.screened('clinic', {}, origin, new Date(2))
    await api.screened('clinic', { ecgId, version: 3, supersedes: 2 }, origin, new Date(1))
    await api.screened('clinic', { ecgId, version: 2, supersedes: 1 }, origin, new Date(3))
    const paths = ['', '?version=1', '?version=2', '?version=3', '?version=4', '?version=0']

    const answers = await Promise.all(paths.map((query) => read(`/v1/ecgs/${ecgId}${query}`)))

    expect(answers.map(({ status, body }) => [status, body.version ?? body.code, body.field])).toEqual([
      [200, 3, undefined],
      [200, 1, undefined],
      [200, 2, undefined],
      [200, 3, undefined],
      [404, 'not-found', 'version'],
      [400, 'field-invalid', 'version'],
    ])
  })

  it('have separate samples; the default is those of the newest result', async () => {
    const { ecgId } = await api.screened('clinic')
    await api.screened('clinic', { ecgId, version: 2, supersedes: 1 })
    for (const [version, seconds] of [
      [1, 9],
      [2, 10],
      // Its samples are there, its result is not yet.
      [3, 10.5],
    ] as const) {
      const packed = Buffer.from(encodeWaveform(syntheticRecording({ rateHz: 100, seconds })))
      await putObject(api.s3, BUCKET, waveformKey('raw', 'clinic', ecgId, version), packed)
    }

    const answers = await Promise.all(
      ['', '?version=1', '?version=9'].map((query) => read(`/v1/ecgs/${ecgId}/waveform${query}`)),
    )

    expect(answers.map(({ status, body }) => [status, body.version, body.samples])).toEqual([
      [200, 2, 1000],
      [200, 1, 900],
      [404, undefined, undefined],
    ])
  })
})

describe('a live window forwarded by a gateway', () => {
  const recording = syntheticRecording({ rateHz: 100, gainUv: 5 })
  const place = { tenant: 'clinic', source: 'mqtt', device: 'd1', session: 's9', firstSample: 5000 } as const
  const envelope: Envelope = {
    schema: 1,
    tenant: 'clinic',
    ecgId: streamEcgId(place),
    origin: { kind: 'mqtt', device: 'd1', session: 's9' },
    span: { startedAt: '2026-01-02T03:04:05.678Z', firstSample: 5000, durationMs: 10_000 },
    version: 2,
    supersedes: 1,
    warnings: [{ code: 'window-closed-short' }, { code: 'clock-doubtful', field: 'gateway' }],
  }

  it('keeps the gateway’s ID, version and warnings', async () => {
    const asked: string[] = []
    const before = globalThis.fetch
    globalThis.fetch = async (input, init) => {
      const { pathname, search } = new URL(String(input))
      asked.push(search)
      return api.as('clinic', `${pathname}${search}`, { method: init?.method ?? 'GET', body: init?.body ?? null })
    }
    const packed = encodeWaveform(recording)
    const about = { order: {}, visit: { patient: '4711', authority: undefined, bed: undefined } }

    const ecg = { id: 1, door: 'mqtt', envelope, packed, about, receivedAtMs: 0, result: undefined } as const
    await apiCloud('http://cloud/', undefined)
      .send(ecg, AbortSignal.timeout(5000))
      .finally(() => {
        globalThis.fetch = before
      })

    const [sent] = await api.receive(api.intakeUrl)
    const { waveform: _, ...message } = parseMessage(IntakeMessage, sent!.Body!)
    expect({ ...message, warnings: message.warnings!.map(({ code }) => code) }).toEqual({
      ...envelope,
      warnings: ['window-closed-short', 'clock-doubtful'],
    })
    expect(asked.join()).not.toContain('4711')
  })

  it.each([
    ['without its device', '?session=s1&firstSample=0', 'device'],
    ['without its position', '?session=s1&device=d1', 'firstSample'],
    ['with a position but no session', '?device=d1&firstSample=0', 'session'],
    ['with an unknown warning', '?device=d1&warnings=made-up', 'warnings'],
  ])('is refused %s', async (_, query, field) => {
    const answer = await api.as('clinic', `/v1/ecgs${query}`, { method: 'POST', body: '{}' })

    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'field-invalid', field })
  })

  it('is refused when it is longer than a window', async () => {
    const { leads, rateHz } = syntheticRecording({ rateHz: 100, seconds: 30 })
    const body = JSON.stringify({
      rateHz,
      leads: leads.map(({ name, gainUv }) => ({ name, gainUv })),
      samples: leads.flatMap(({ samples }) => [...samples]),
    })

    const answer = await api.as('clinic', '/v1/ecgs?device=d1&session=s1&firstSample=0', { method: 'POST', body })

    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ field: 'session' })
  })
})
