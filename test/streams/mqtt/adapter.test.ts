import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fromPayload } from '../../../shared/aws/payloads.ts'
import { createLogger } from '../../../shared/observe/logging.ts'
import { type Adapter, startAdapter } from '../../../streams/mqtt/adapter.ts'
import { type AdapterConfig, readConfig } from '../../../streams/mqtt/config.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { buildTopic, type Channel } from '../../../streams/mqtt/topics.ts'
import { toWire } from '../../../streams/mqtt/wire-recording.ts'
import { type Aws, startAws } from './helpers/aws.ts'
import { BROKERS, type Broker } from './helpers/brokers.ts'
import { expectEachOnce } from './helpers/expectations.ts'
import { makeFrame, makeRecording } from './helpers/factories.ts'
import { type Responder, type ScreenedWindow, startResponder } from './helpers/responder.ts'

const tenant = 'clinic'
const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const topicOf = (channel: Channel) => buildTopic({ tenant, device: 'd1', channel })

describe.each(BROKERS)('adapter with $broker, MQTT protocol $version', ({ version, start, missing }) => {
  describe.skipIf(missing !== '')(`over a real connection${missing}`, () => {
    let folder: string
    let aws: Aws
    let broker: Broker
    let responder: Responder
    let link: DeviceLink
    let adapter: Adapter | undefined

    const configure = (settings: Readonly<Record<string, string>> = {}): AdapterConfig =>
      readConfig([], {
        ...aws.env,
        MQTT_URL: broker.url,
        MQTT_VERSION: String(version),
        JOURNAL_PATH: join(folder, 'journal.db'),
        ...settings,
      })!

    const startReady = async (config = configure()) => {
      const logger = createLogger('test')
      logger.setLogLevel('SILENT')
      adapter = startAdapter(config, { sqs: aws.sqs, s3: aws.s3, logger })
      await adapter.ready
    }

    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'adapter-'))
      ;[aws, broker] = await Promise.all([startAws(), start()])
      responder = startResponder(aws)
      link = await DeviceLink.open({ url: broker.url, version })
    })

    afterEach(async () => {
      await link.close()
      await adapter?.stop()
      adapter = undefined
      await responder.stop()
      await broker.close()
      await aws.stop()
      rmSync(folder, { recursive: true })
    })

    it.each(['protobuf', 'json'] as const)('answers each window of a stream in %s', async (encoding) => {
      await startReady()

      const report = await streamRecording(makeRecording(23.2), {
        link,
        tenant,
        device: 'd1',
        speed: Infinity,
        encoding,
      })

      expect(report.windows.map(({ firstSample }) => firstSample)).toEqual([0, 5000, 10_000])
      expectEachOnce(report, responder)
      expect(responder.windows[0]!.message).toMatchObject({
        tenant,
        origin: { kind: 'mqtt', device: 'd1', session: report.session },
        span: { firstSample: 0, durationMs: 10_000 },
      })
    })

    it('answers several devices that share a connection', async () => {
      await startReady()
      const devices = Array.from({ length: 8 }, (_, index) => `d${index}`)

      const reports = await Promise.all(
        devices.map((device) => streamRecording(makeRecording(20), { link, tenant, device, speed: Infinity })),
      )

      for (const report of reports) expectEachOnce(report, responder)
      expect(reports.flatMap(({ windows }) => windows)).toHaveLength(16)
    })

    it('receives from the broker what was sent while it was down', async () => {
      await startReady()
      await adapter!.stop()

      const streaming = streamRecording(makeRecording(10), { link, tenant, device: 'd1', speed: Infinity })
      await startReady()

      expectEachOnce(await streaming, responder)
    })

    it('answers windows that a device sends whole', async () => {
      await startReady()
      const recording = makeRecording(10)
      const { leads, rows } = toWire(recording)
      const samples = Buffer.concat(rows.map((row) => Buffer.from(row.buffer))).toString('base64')
      const window = { session: 's1', firstSample: 5000, sessionStartedAtMs: Date.now(), rateHz: 500, leads, samples }
      const first = { ...window, firstSample: 0 }

      for (const sent of [first, window]) {
        await link.publish(topicOf('window'), Buffer.from(JSON.stringify(sent)), 'application/json')
      }
      await vi.waitFor(() => expect(responder.windows).toHaveLength(2))

      expect(responder.windows.map(({ message }) => message.span.firstSample).sort()).toEqual([0, 5000])
      expect(responder.windows[1]!.waveform.leads).toEqual(recording.leads)
    })

    it('continues the device’s trace on MQTT 5, and starts a new one otherwise', async () => {
      await startReady()
      const { leads, rows } = toWire(makeRecording(10))
      const samples = Buffer.concat(rows.map((row) => Buffer.from(row.buffer))).toString('base64')
      const window = { session: 's1', firstSample: 0, sessionStartedAtMs: Date.now(), rateHz: 500, leads, samples }
      const returned = Promise.withResolvers<string | undefined>()
      await link.listen(topicOf('results'), (_, traceparent) => returned.resolve(traceparent))

      await link.publish(topicOf('window'), Buffer.from(JSON.stringify(window)), 'application/json', TRACEPARENT)
      const inResult = await returned.promise

      const [{ traceparent }] = responder.windows as [ScreenedWindow]
      expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
      expect(traceparent!.includes(TRACEPARENT.slice(3, 35))).toBe(version === 5)
      expect(inResult).toBe(version === 5 ? traceparent : undefined)
    })

    it('notifies the device of a bad frame, moves it to the DLQ with the reason, and continues', async () => {
      await startReady()
      const problem = Promise.withResolvers<unknown>()
      await link.listen(topicOf('cmd'), (payload) => problem.resolve(JSON.parse(payload.toString())))
      const bad = encodeFrame(makeFrame({ leads: [{ name: 'I', gainUv: 0.0025 }] }))

      await link.publish(topicOf('frames'), bad, 'application/x-protobuf')
      const told = await problem.promise
      const { Messages = [] } = await aws.sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: aws.queues.deadLetters,
          WaitTimeSeconds: 10,
          MessageAttributeNames: ['All'],
        }),
      )
      const report = await streamRecording(makeRecording(10), { link, tenant, device: 'd2', speed: Infinity })

      expect(told).toEqual({
        problem: { code: 'gain-invalid', field: 'leads[0].gainUv', message: expect.stringMatching(/^[A-Z].*\.$/) },
      })
      expect(Messages[0]!.MessageAttributes!.reason!.StringValue).toBe('gain-invalid')
      const letter = JSON.parse(Messages[0]!.Body!)
      expect(letter).toMatchObject({ topic: topicOf('frames'), field: 'leads[0].gainUv' })
      expect(await fromPayload(aws.s3, aws.bucket, letter.payload)).toEqual(bad)
      expectEachOnce(report, responder)
    })

    it('moves a refused payload to the DLQ even if its topic and content type contain characters that SQS refuses', async () => {
      const journal = new Journal(join(folder, 'journal.db'))
      const payload = Buffer.from('?')
      const topic = 'ecg/v1/\uFFFF/d1/frames'
      journal.addReject({ topic, contentType: 'a\uFFFE', code: 'topic-invalid', field: 'tenant', payload })
      journal.close()

      await startReady()
      const { Messages = [] } = await aws.sqs.send(
        new ReceiveMessageCommand({ QueueUrl: aws.queues.deadLetters, WaitTimeSeconds: 3 }),
      )

      expect(JSON.parse(Messages[0]!.Body!)).toMatchObject({ topic: 'ecg/v1/\uFFFD/d1/frames', contentType: 'a\uFFFD' })
    })
  })
})
