import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createMetrics, METRICS, type Metric } from '../../../shared/observe/metrics.ts'
import { metricsOf } from '../../helpers/emf.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const metrics: readonly (readonly [string, Metric])[] = Object.entries(METRICS)

/** All modules that may emit, except the module of names itself. */
const sources = ['shared', 'functions', 'streams'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && join(folder, file) !== 'shared/observe/metrics.ts')
    .map((file) => ({ file: join(folder, file), text: readFileSync(join(ROOT, folder, file), 'utf8') })),
)

describe('METRICS', () => {
  it.each(metrics)('has an emitter for %s', (key) => {
    const emitters = sources.filter(({ text }) => new RegExp(`METRICS\\.${key}\\b`).test(text))

    expect(emitters).not.toEqual([])
  })

  it('is emitted only by its module', () => {
    const others = sources.filter(({ text }) => /\.addMetric\(|new Metrics\(|_aws|CloudWatchMetrics/.test(text))

    expect(others.map(({ file }) => file)).toEqual([])
  })

  it('has unique names', () => {
    expect(new Set(metrics.map(([, { name }]) => name)).size).toBe(metrics.length)
  })

  it('has only public dimensions, never a tenant, a device or a person', () => {
    const parts = new Set(metrics.flatMap(([, { by }]) => by ?? []))

    expect([...parts].sort()).toEqual(['adapter', 'condition', 'limit', 'reason', 'status'])
  })
})

describe('a metrics document', () => {
  beforeEach(() => vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'false'))
  afterEach(() => vi.unstubAllEnvs())

  it('contains all values, rounded, and is written once', async () => {
    const metrics = createMetrics('screen')

    const documents = await metricsOf(() => {
      metrics.add(METRICS.inferenceMs, 4.234567)
      metrics.add(METRICS.windowsScreened)
      metrics.publish()
      metrics.publish()
    })

    expect(documents).toMatchObject([{ service: 'screen', InferenceMs: 4.235, WindowsScreened: 1 }])
    expect(documents[0]).toHaveProperty('_aws.CloudWatchMetrics.0.Dimensions', [['service']])
  })

  it('is written separately for each extra dimension', async () => {
    const metrics = createMetrics('screen')

    const documents = await metricsOf(() => {
      metrics.add(METRICS.windowsRefused)
      metrics.addBy('reason', 'noise', [METRICS.refusals, 1])
      metrics.publish()
    })

    expect(documents).toMatchObject([
      { service: 'screen', reason: 'noise', Refusals: 1 },
      { service: 'screen', WindowsRefused: 1 },
    ])
    expect(documents[0]).toHaveProperty('_aws.CloudWatchMetrics.0.Dimensions', [['service', 'reason']])
    expect(documents[1]).not.toHaveProperty('reason')
  })
})
