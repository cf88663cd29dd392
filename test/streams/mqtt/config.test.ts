import { describe, expect, it } from 'vitest'
import { configHelp, readConfig } from '../../../streams/mqtt/config.ts'

const env = {
  MQTT_URL: 'mqtt://127.0.0.1:1883',
  JOURNAL_PATH: '/data/journal.db',
  INTAKE_QUEUE_URL: 'http://127.0.0.1/intake',
  INTAKE_DLQ_URL: 'http://127.0.0.1/intake-dlq',
  RESULTS_MQTT_QUEUE_URL: 'http://127.0.0.1/results',
  RAW_BUCKET: 'raw',
}

describe('readConfig', () => {
  it('reads the environment, with defaults', () => {
    expect(readConfig([], env)).toMatchObject({
      broker: { url: 'mqtt://127.0.0.1:1883', version: 5 },
      clientId: 'cardiacnets',
      connections: 1,
      idleMs: 120_000,
      correctionMs: 86_400_000,
    })
  })

  it('prefers a flag to the environment', () => {
    const config = readConfig(['--mqtt-version', '4', '--mqtt-connections=8'], { ...env, MQTT_VERSION: '5' })

    expect(config).toMatchObject({ broker: { version: 4 }, connections: 8 })
  })

  it('reads the tenants, and accepts keys as text from a secret store', () => {
    const MQTT_KEY = '-----BEGIN PRIVATE KEY-----\n…'

    const config = readConfig([], { ...env, MQTT_TENANTS: 'icu,wards', MQTT_WINDOWS: 'off', MQTT_KEY })

    expect(config).toMatchObject({ tenants: ['icu', 'wards'], hearsWindows: false })
    expect(String(config?.broker.key)).toBe(MQTT_KEY)
    expect(() => readConfig([], { ...env, MQTT_TENANTS: 'a/b' })).toThrow(/^MQTT_TENANTS/)
  })

  it('reads limits of devices and tenants as JSON, and keeps the other defaults', () => {
    const DEVICE_LIMITS = '{"device":{"frames":{"perSecond":10}}}'

    expect(readConfig([], { ...env, DEVICE_LIMITS })?.deviceLimits).toMatchObject({
      device: { frames: { perSecond: 10, burst: 30_000 }, sessions: { burst: 200 }, journalShare: 0.25 },
      tenant: { frames: { perSecond: 5000 } },
    })
  })

  it.each(['{', '{"device":{"frames":{"perSecond":0}}}', '{"devices":{}}'])(
    'refuses the limits %s',
    (DEVICE_LIMITS) => {
      expect(() => readConfig([], { ...env, DEVICE_LIMITS })).toThrow(/^DEVICE_LIMITS/)
    },
  )

  it('names missing and invalid settings without repeating their values', () => {
    const wrong = { ...env, MQTT_URL: 'http://user:hunter2@broker', JOURNAL_PATH: '', MQTT_VERSION: '3' }

    expect(() => readConfig([], wrong)).toThrow(/^MQTT_URL: .*\nMQTT_VERSION: .*\nJOURNAL_PATH: /)
    expect(() => readConfig([], wrong)).not.toThrow('hunter2')
  })

  it.each([
    ['an unknown flag', ['--nonsense'], {}],
    ['a missing file', [], { MQTT_CA: '/nowhere/ca.pem' }],
  ])('refuses %s', (_, args, more) => {
    expect(() => readConfig(args, { ...env, ...more })).toThrow(expect.objectContaining({ name: 'ConfigError' }))
  })

  it('returns nothing for --help, and lists every setting in the help', () => {
    expect(readConfig(['--help'], {})).toBeUndefined()
    for (const name of Object.keys(env)) expect(configHelp()).toContain(name)
  })
})
