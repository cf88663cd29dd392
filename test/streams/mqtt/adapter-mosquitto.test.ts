import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IPublishPacket } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../shared/observe/logging.ts'
import { type Adapter, startAdapter } from '../../../streams/mqtt/adapter.ts'
import { readConfig } from '../../../streams/mqtt/config.ts'
import { type BrokerOptions, openTransient } from '../../../streams/mqtt/connection.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { Authority } from '../../helpers/certificates.ts'
import { type Aws, startAws } from './helpers/aws.ts'
import { type Broker, NO_MOSQUITTO, startMosquitto } from './helpers/brokers.ts'
import { expectEachOnce } from './helpers/expectations.ts'
import { makeRecording } from './helpers/factories.ts'
import { type Responder, startResponder } from './helpers/responder.ts'

describe.skipIf(NO_MOSQUITTO !== '')(`adapter with mosquitto${NO_MOSQUITTO}`, () => {
  let folder: string
  let aws: Aws
  let responder: Responder
  let broker: Broker
  let link: DeviceLink
  let adapter: Adapter

  const startAll = async (settings: Readonly<Record<string, string>> = {}, device: Partial<BrokerOptions> = {}) => {
    const env = { ...aws.env, MQTT_URL: broker.url, MQTT_VERSION: '5', JOURNAL_PATH: join(folder, 'journal.db') }
    const logger = createLogger('test')
    logger.setLogLevel('SILENT')
    adapter = startAdapter(readConfig([], { ...env, ...settings })!, { sqs: aws.sqs, s3: aws.s3, logger })
    await adapter.ready
    link = await DeviceLink.open({ url: broker.url, version: 5, ...device })
  }

  const stream = (device: string, seconds = 10) =>
    streamRecording(makeRecording(seconds), { link, tenant: 'clinic', device, speed: Infinity })

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'adapter-'))
    aws = await startAws()
    responder = startResponder(aws)
  })

  afterEach(async () => {
    await link.close()
    await adapter.stop()
    await responder.stop()
    await broker.close()
    await aws.stop()
    rmSync(folder, { recursive: true })
  })

  it.each(['4', '5'])(
    'shares a subscription between connections that feed one journal, protocol %s',
    async (version) => {
      broker = await startMosquitto()
      await startAll({ MQTT_CONNECTIONS: '4', MQTT_VERSION: version })

      const reports = await Promise.all(['d1', 'd2', 'd3'].map((device) => stream(device, 40)))

      for (const report of reports) expectEachOnce(report, responder)
      expect(reports.flatMap(({ windows }) => windows)).toHaveLength(12)
    },
  )

  it('states content type, expiry and ECG ID of a result on MQTT 5', async () => {
    broker = await startMosquitto()
    await startAll()
    const client = openTransient({ url: broker.url, version: 5 }, 'reader')
    await client.subscribeAsync('ecg/v1/clinic/d1/results', { qos: 1 })
    const received = new Promise<IPublishPacket>((resolve) =>
      client.on('message', (_topic, _payload, packet) => resolve(packet)),
    )

    const report = await stream('d1')
    const { qos, properties } = await received
    await client.endAsync()

    expect(qos).toBe(1)
    expect(properties).toMatchObject({
      contentType: 'application/json',
      messageExpiryInterval: 86_400,
      userProperties: { 'ecg-id': report.windows[0]!.ecgId },
    })
  })

  it('logs in with user name and password', async () => {
    const file = join(folder, 'passwords')
    execFileSync('mosquitto_passwd', ['-b', '-c', file, 'adapter', 'secret'])
    for (const path of [folder, file]) chmodSync(path, 0o755)
    broker = await startMosquitto(['allow_anonymous false', `password_file ${file}`])
    await startAll({ MQTT_USERNAME: 'adapter', MQTT_PASSWORD: 'secret' }, { username: 'adapter', password: 'secret' })

    expectEachOnce(await stream('d1'), responder)
    await expect(DeviceLink.open({ url: broker.url, version: 5 })).rejects.toThrow('Not authorized')
  })

  it('presents a client certificate when the broker requires one', async () => {
    const authority = new Authority(folder)
    const { ca } = authority
    // The same for the broker and its clients, to save time.
    const { cert, key } = authority.sign('broker')
    // mosquitto gives up root before it reads them.
    chmodSync(folder, 0o755)
    chmodSync(key, 0o644)
    const tls = [`cafile ${ca}`, `certfile ${cert}`, `keyfile ${key}`]
    broker = await startMosquitto(['allow_anonymous true', ...tls, 'require_certificate true'], 'mqtts')
    const pem = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) }
    await startAll({ MQTT_CA: ca, MQTT_CERT: cert, MQTT_KEY: key }, pem)

    expectEachOnce(await stream('d1'), responder)
    await expect(DeviceLink.open({ url: broker.url, version: 5, ca: pem.ca })).rejects.toThrow()
  })
})
