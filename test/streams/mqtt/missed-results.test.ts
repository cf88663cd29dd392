import { join } from 'node:path'
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { sendMessage } from '../../../shared/aws/queues.ts'
import { DeviceLimits } from '../../../shared/config/device-limits.ts'
import { streamEcgId } from '../../../shared/domain/ecg-id.ts'
import type { Frame } from '../../../shared/domain/frame.ts'
import type { ResultMessage } from '../../../shared/messages.ts'
import { startAdapter } from '../../../streams/mqtt/adapter.ts'
import { readConfig } from '../../../streams/mqtt/config.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { encodeFrame } from '../../../streams/mqtt/frame-codec.ts'
import type { Problem } from '../../../streams/mqtt/frame-end.ts'
import { Ingest, type MissedResult } from '../../../streams/mqtt/ingest.ts'
import { Journal } from '../../../streams/mqtt/journal.ts'
import { LATE_PATIENCE_MS } from '../../../streams/mqtt/late-frames.ts'
import { Limits } from '../../../streams/mqtt/limits.ts'
import { REPETITION_MS, UNDER_WAY_MS } from '../../../streams/mqtt/repeated-windows.ts'
import { silentLogger } from '../../helpers/logs.ts'
import { makeResult } from '../../helpers/results.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { startAws } from './helpers/aws.ts'
import { startAedes } from './helpers/brokers.ts'
import { makeFrame, NOW } from './helpers/factories.ts'

const TOPIC = 'ecg/v1/clinic/d1/frames'
const IDLE_MS = 15_000
const FRAMES_OF_WINDOW = 20

const ecgOf = (firstSample: number) =>
  streamEcgId({ tenant: 'clinic', source: 'mqtt', device: 'd1', session: 's1', firstSample })
const missedOf = (...firstSamples: readonly number[]) =>
  firstSamples.map((firstSample) => ({ tenant: 'clinic', device: 'd1', ecgId: ecgOf(firstSample) }))
const frames = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => makeFrame({ sequence: from + index }))

describe('Ingest, when a device sends frames again', () => {
  let folder: string
  let journal: Journal
  let ingest: Ingest
  let nowMs: number
  let closed: number[]
  /** Of the windows in the order in which they were closed. */
  let versions: number[]
  let missed: MissedResult[]
  let problems: Problem[]

  beforeEach(() => {
    folder = temporaryFolder()
    nowMs = NOW
    problems = []
    start()
  })
  afterEach(() => journal.close())

  function start(limits = DeviceLimits.parse({})): void {
    journal = new Journal(join(folder, 'journal.db'))
    closed = []
    versions = []
    missed = []
    ingest = new Ingest({
      journal,
      clock: { now: () => nowMs, monotonic: () => nowMs },
      idleMs: IDLE_MS,
      limits: new Limits(limits, () => nowMs),
      output: {
        windowsClosed: (ids) => closed.push(...ids),
        refused: (_, problem) => problems.push(problem),
        resultsMissed: (each) => missed.push(...each),
        failed: (error) => {
          throw error
        },
      },
    })
    ingest.recover()
  }

  function restart(limits?: DeviceLimits): void {
    journal.close()
    start(limits)
  }

  /** Takes frames, and sends the windows that they close. */
  function receive(all: readonly Frame[]): void {
    for (const frame of all) {
      ingest.receive({ topic: TOPIC, payload: encodeFrame(frame), contentType: undefined, acknowledge: () => {} })
    }
    ingest.flush()
    sendClosed()
  }

  function pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) {
      nowMs += Math.min(left, 1000)
      ingest.sweep()
      sendClosed()
    }
  }

  function sendClosed(): void {
    for (const id of closed.splice(0)) {
      versions.push(journal.readWindow(id).version ?? 1)
      journal.windowSent(id)
    }
  }

  it('reports each complete window that came again, once', () => {
    receive(frames(0, 3 * FRAMES_OF_WINDOW + 5))
    pass(UNDER_WAY_MS)

    receive(frames(FRAMES_OF_WINDOW, 3 * FRAMES_OF_WINDOW))
    pass(REPETITION_MS - 1000)
    const before = [...missed]
    pass(10_000)

    expect(before).toEqual([])
    expect(missed).toEqual(missedOf(5000, 10_000))
  })

  it('reports it again after another repetition', () => {
    receive(frames(0, FRAMES_OF_WINDOW + 5))
    pass(UNDER_WAY_MS)

    for (let repetition = 0; repetition < 2; repetition++) {
      receive(frames(0, FRAMES_OF_WINDOW))
      pass(REPETITION_MS)
    }

    expect(missed).toEqual(missedOf(0, 0))
  })

  it('reports it after a restart of the adapter', () => {
    receive(frames(0, FRAMES_OF_WINDOW + 5))
    restart()

    receive(frames(0, FRAMES_OF_WINDOW))
    pass(REPETITION_MS)

    expect(missed).toEqual(missedOf(0))
  })

  it('reports nothing while the result is on its way', () => {
    receive(frames(0, FRAMES_OF_WINDOW + 5))

    receive(frames(0, FRAMES_OF_WINDOW))
    pass(REPETITION_MS)

    expect(missed).toEqual([])
  })

  it('reports nothing for frames of the open window that came twice', () => {
    receive(frames(0, FRAMES_OF_WINDOW - 2))

    receive(frames(0, FRAMES_OF_WINDOW - 2))
    pass(REPETITION_MS)

    expect(missed).toEqual([])
  })

  it('reports nothing if the repetition completes the window, because a new version follows', () => {
    receive([...frames(0, 8), ...frames(9, 2 * FRAMES_OF_WINDOW + 5)])
    pass(2 * IDLE_MS)

    receive(frames(0, FRAMES_OF_WINDOW))
    pass(REPETITION_MS)

    expect(versions.filter((version) => version > 1)).toEqual([2])
    expect(missed).toEqual([])
  })

  it('reports a window that was closed short if the device has nothing that is missing', () => {
    const all = [...frames(0, 8), ...frames(9, 2 * FRAMES_OF_WINDOW + 5)]
    receive(all)
    pass(2 * IDLE_MS)

    receive(all.slice(0, FRAMES_OF_WINDOW - 1))
    pass(REPETITION_MS)

    expect(missed).toEqual(missedOf(0))
  })

  it('does not report a reopened window whose next version is awaited', () => {
    receive([...frames(0, 8), ...frames(10, 2 * FRAMES_OF_WINDOW + 5)])
    pass(2 * IDLE_MS)

    receive([...frames(0, 9), ...frames(10, FRAMES_OF_WINDOW)])
    pass(REPETITION_MS)
    const before = [...missed]
    pass(LATE_PATIENCE_MS)

    expect(before).toEqual([])
    expect(missed).toEqual([])
  })

  it('reports nothing of a restarted device that uses its old session again, also after a restart of the adapter', () => {
    receive(frames(0, FRAMES_OF_WINDOW + 5))
    pass(UNDER_WAY_MS)
    const others = frames(0, FRAMES_OF_WINDOW).map((frame) => ({
      ...frame,
      samples: makeFrame({ sequence: 99 }).samples,
    }))

    receive(others.slice(0, 4))
    pass(REPETITION_MS)
    restart()
    receive(others.slice(4))
    pass(REPETITION_MS)

    expect(missed).toEqual([])
    expect(problems.map(({ code, sequence }) => `${code} ${sequence}`)).toEqual(
      others.map(({ sequence }) => `sequence-invalid ${sequence}`),
    )
  })

  it('limits how many results a device may get again', () => {
    restart(DeviceLimits.parse({ device: { results: { burst: 2, perSecond: 0.1 } } }))
    receive(frames(0, 5 * FRAMES_OF_WINDOW + 5))
    pass(UNDER_WAY_MS)

    receive(frames(0, 5 * FRAMES_OF_WINDOW))
    pass(REPETITION_MS)
    const atOnce = missed.length
    pass(10_000)
    receive(frames(0, 5 * FRAMES_OF_WINDOW))
    pass(REPETITION_MS)

    expect(atOnce).toBe(2)
    expect(missed).toHaveLength(3)
  })
})

describe('adapter whose broker loses results', () => {
  const configured = async (settings: Readonly<Record<string, string>>) => {
    const [aws, broker] = await Promise.all([startAws(), startAedes()])
    const config = readConfig([], {
      ...aws.env,
      MQTT_URL: broker.url,
      MQTT_VERSION: '4',
      JOURNAL_PATH: join(temporaryFolder(), 'journal.db'),
      ...settings,
    })!
    const logger = silentLogger()
    const begin = async () => {
      const begun = startAdapter(config, { sqs: aws.sqs, s3: aws.s3, logger })
      await begun.ready
      return begun
    }
    let adapter = await begin()
    const link = await DeviceLink.open({ url: broker.url, version: 4 })
    onTestFinished(async () => {
      await link.close()
      await adapter.stop()
      await broker.close()
      await aws.stop()
    })
    const restart = async () => {
      await adapter.stop()
      adapter = await begin()
    }
    return { aws, link, restart }
  }
  const bodiesIn = async ({ sqs }: Awaited<ReturnType<typeof startAws>>, QueueUrl: string) => {
    const { Messages = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }))
    return Messages.map(({ Body }) => JSON.parse(Body!))
  }

  it('asks the upkeep to publish the result again', { timeout: 30_000 }, async () => {
    const { aws, link, restart } = await configured({})
    const send = async () => {
      for (let sequence = 0; sequence < FRAMES_OF_WINDOW; sequence++) {
        const frame = makeFrame({ sequence, sessionStartedAtMs: NOW })
        await link.publish(TOPIC, encodeFrame(frame), 'application/x-protobuf')
      }
    }
    await send()
    const [window] = await bodiesIn(aws, aws.queues.intake)
    // A new process does not know when the window was closed.
    await restart()

    await send()
    const asked = await bodiesIn(aws, aws.queues.upkeep)

    expect(window).toMatchObject({ ecgId: ecgOf(0) })
    expect(asked).toEqual([{ schema: 1, kind: 'result', tenant: 'clinic', ecgId: ecgOf(0) }])
  })

  it('sends summaries to the devices of a site that wants them', async () => {
    const { aws, link } = await configured({ DEVICE_RESULTS: 'summary' })
    const received = Promise.withResolvers<{ readonly omitted?: object }>()
    await link.listen('ecg/v1/clinic/d1/results', (payload) => received.resolve(JSON.parse(payload.toString())))
    const result = JSON.stringify(makeResult({ ecgId: ecgOf(0) }))
    const origin = { kind: 'mqtt', device: 'd1', session: 's1' } as const
    const message: ResultMessage = { schema: 1, tenant: 'clinic', origin, result }

    await sendMessage(aws.sqs, aws.queues.results, JSON.stringify(message))

    expect(await received.promise).toHaveProperty('omitted')
  })
})
