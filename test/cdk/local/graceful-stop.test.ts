import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { type Broker, startBroker } from '../../../cdk/local/aws/broker.ts'
import { createLogger } from '../../../shared/observe/logging.ts'
import { type Adapter, startAdapter } from '../../../streams/mqtt/adapter.ts'
import { readConfig } from '../../../streams/mqtt/config.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { startAws } from '../../streams/mqtt/helpers/aws.ts'
import { makeRecording, sampleAt } from '../../streams/mqtt/helpers/factories.ts'
import { startResponder } from '../../streams/mqtt/helpers/responder.ts'

/** 20 for a long run: `STOPS=20`. */
const ROUNDS = Number(process.env.STOPS ?? 5)
const DEVICES = 4

/** Its end joins its start, so that it can be looped. */
const PERIODIC = makeRecording((5 * 4001) / 500)

it('the local stack loses no frame over repeated restarts of broker and adapter under load', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'stop-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const aws = await startAws()
  const responder = startResponder(aws)
  const logger = createLogger('test')
  logger.setLogLevel('SILENT')

  const begin = async (port: number): Promise<{ broker: Broker; adapter: Adapter }> => {
    const broker = await startBroker(port)
    const env = { ...aws.env, MQTT_URL: broker.url, MQTT_VERSION: '4', JOURNAL_PATH: join(folder, 'journal.db') }
    const adapter = startAdapter(readConfig([], env)!, { sqs: aws.sqs, s3: aws.s3, logger })
    await adapter.ready
    return { broker, adapter }
  }
  /** As the stack does. */
  const end = async ({ broker, adapter }: Awaited<ReturnType<typeof begin>>) => {
    await broker.drain()
    await adapter.stop()
    await broker.stop()
  }
  const framesTaken = (broker: Broker, count: number) =>
    new Promise<void>((resolve) => {
      let left = count
      const stop = broker.onPublish(['ecg/v1/+/+/status'], ({ topic }) => {
        if (!topic.endsWith('/frames') || --left > 0) return
        stop()
        resolve()
      })
    })

  let now = await begin(0)
  const port = Number(new URL(now.broker.url).port)
  const ending = new AbortController()
  const links = await Promise.all(
    Array.from({ length: DEVICES }, () => DeviceLink.open({ url: now.broker.url, version: 4 })),
  )
  const streaming = links.map((link, index) =>
    streamRecording(PERIODIC, {
      link,
      tenant: 'clinic',
      device: `d${index}`,
      speed: 10,
      loop: true,
      signal: ending.signal,
      // Results that arrive while the device is disconnected are lost with the broker's memory, so windows are counted.
      resultTimeoutMs: 1,
    }),
  )

  for (let round = 0; round < ROUNDS; round++) {
    await framesTaken(now.broker, 20 + 7 * round)
    await end(now)
    now = await begin(port)
  }
  ending.abort()
  const reports = await Promise.all(streaming)
  const expected = reports.flatMap(({ windows }) => windows)
  const arrived = () => new Map(responder.windows.map(({ message, waveform }) => [message.ecgId, waveform]))
  await vi.waitFor(() => expect(arrived().size).toBeGreaterThanOrEqual(expected.length), {
    timeout: 30_000,
    interval: 200,
  })
  for (const link of links) await link.close()
  await end(now)
  await responder.stop()
  await aws.stop()

  expect(reports.flatMap(({ problems }) => problems)).toEqual([])
  expect(arrived().size).toBe(expected.length)
  for (const { ecgId, firstSample } of expected) {
    const { samples } = arrived().get(ecgId)!.leads[1]!
    expect(samples).toEqual(Int32Array.from(samples, (_, at) => sampleAt(1, firstSample + at)))
  }
}, 300_000)
