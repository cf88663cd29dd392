import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMetrics } from '../../../shared/observe/metrics.ts'
import { type AdapterState, Health } from '../../../streams/mqtt/health.ts'
import { metricsOf } from '../../helpers/emf.ts'
import { silentLogger } from '../../helpers/logs.ts'

const STATE: AdapterState = {
  frames: { accepted: 40, repeated: 1, late: 1, refused: 2 },
  sessions: 2,
  waitingWindows: 1,
  sentWindows: 3,
  oldestWindowMs: 1500,
  journalBytes: 65_536,
}

describe('Health.report', () => {
  beforeEach(() => vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'false'))
  afterEach(() => vi.unstubAllEnvs())

  const start = () => new Health('ward-a', createMetrics('streams-mqtt'), silentLogger())

  it('reports the adapter’s state under its own name', async () => {
    const health = start()
    health.connection('ward-a-0', 'connected')
    health.connection('ward-a-0', 'subscribed')

    const documents = await metricsOf(() => health.report(STATE))

    expect(documents).toEqual([
      {
        _aws: expect.anything(),
        service: 'streams-mqtt',
        adapter: 'ward-a',
        BrokerConnected: 1,
        FramesReceived: 44,
        FramesRefused: 2,
        WindowsSent: 3,
        LiveSessions: 2,
        JournalBytes: 65_536,
        JournalAgeS: 1.5,
      },
    ])
  })

  it('reports the increase since the last report, and refusals by code', async () => {
    const health = start()
    health.report(STATE)
    for (const code of ['gain-invalid', 'gain-invalid', 'lead-unknown'] as const) health.refused(code)
    const frames = { ...STATE.frames, accepted: 50, refused: 5 }

    const [first, ...others] = await metricsOf(() => health.report({ ...STATE, frames, sentWindows: 4 }))
    const [next, ...none] = await metricsOf(() => health.report({ ...STATE, frames, sentWindows: 4 }))

    expect(first).toMatchObject({ FramesReceived: 13, FramesRefused: 3, WindowsSent: 1 })
    expect(others).toMatchObject([
      { reason: 'gain-invalid', FrameRefusals: 2 },
      { reason: 'lead-unknown', FrameRefusals: 1 },
    ])
    expect(next).toMatchObject({ FramesReceived: 0, FramesRefused: 0, WindowsSent: 0 })
    expect(none).toEqual([])
  })

  it('reports a lost connection', async () => {
    const health = start()
    health.connection('ward-a', 'subscribed')
    health.connection('ward-a', 'disconnected')

    const documents = await metricsOf(() => health.report(STATE))

    expect(documents).toMatchObject([{ BrokerConnected: 0 }])
  })
})
