import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLogger } from '../../../shared/observe/logging.ts'
import { type Adapter, startAdapter } from '../../../streams/mqtt/adapter.ts'
import { readConfig } from '../../../streams/mqtt/config.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { type Aws, awsClients, startAws } from './helpers/aws.ts'
import { BROKERS, type Broker } from './helpers/brokers.ts'
import { expectEachOnce } from './helpers/expectations.ts'
import { makeRecording } from './helpers/factories.ts'
import { type Responder, startResponder } from './helpers/responder.ts'

const containing = (text: string) => expect.stringContaining(text)

describe.each(BROKERS)('adapter with $broker, MQTT protocol $version', ({ version, start, missing }) => {
  describe.skipIf(missing !== '')(`during an SQS outage${missing}`, () => {
    let folder: string
    let broker: Broker
    let link: DeviceLink
    let absent: Aws
    let adapter: Adapter
    let responder: Responder | undefined
    let aws: Aws | undefined

    const logger = createLogger('test')
    const logged = vi.spyOn(logger, 'error').mockImplementation(() => {})
    const informed = vi.spyOn(logger, 'info').mockImplementation(() => {})

    const startWithout = async (settings: Readonly<Record<string, string>> = {}) => {
      const env = { ...absent.env, MQTT_URL: broker.url, MQTT_VERSION: String(version) }
      const config = readConfig([], { ...env, JOURNAL_PATH: join(folder, 'journal.db'), ...settings })!
      adapter = startAdapter(config, { ...awsClients(absent.port), logger })
      await adapter.ready
    }

    const bringBack = async () => {
      aws = await startAws(absent.port)
      responder = startResponder(aws)
    }

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'adapter-'))
      ;[absent, broker] = await Promise.all([startAws(), start()])
      await absent.stop()
      link = await DeviceLink.open({ url: broker.url, version })
      for (const spy of [logged, informed]) spy.mockClear()
    })

    afterEach(async () => {
      await link.close()
      await adapter.stop()
      await responder?.stop()
      await broker.close()
      await aws?.stop()
      rmSync(folder, { recursive: true })
    })

    it('keeps acknowledging frames, and sends every window afterwards', async () => {
      await startWithout()

      const streaming = streamRecording(makeRecording(60), { link, tenant: 'clinic', device: 'd1', speed: Infinity })
      await vi.waitFor(() => expect(logged).toHaveBeenCalledWith('cannot send to intake', expect.anything()), 10_000)
      await bringBack()

      expectEachOnce(await streaming, responder!)
    })

    it('leaves the broker when the journal is full, and returns when there is room', async () => {
      await startWithout({ JOURNAL_LIMIT_MB: '1' })

      const streaming = streamRecording(makeRecording(160), { link, tenant: 'clinic', device: 'd1', speed: Infinity })
      await vi.waitFor(() => expect(logged).toHaveBeenCalledWith(containing('journal full'), expect.anything()), 10_000)
      await bringBack()
      const report = await streaming
      await vi.waitFor(
        () => expect(informed).toHaveBeenCalledWith(containing('back to the broker'), expect.anything()),
        10_000,
      )
      const after = await streamRecording(makeRecording(10), { link, tenant: 'clinic', device: 'd2', speed: Infinity })

      expectEachOnce(report, responder!)
      expectEachOnce(after, responder!)
    })
  })
})
