import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openTransient } from '../../../streams/mqtt/connection.ts'
import { streamRecording } from '../../../streams/mqtt/device.ts'
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { topicFilter } from '../../../streams/mqtt/topics.ts'
import { type Aws, startAws } from './helpers/aws.ts'
import { BROKERS, type Broker } from './helpers/brokers.ts'
import { expectEachOnce } from './helpers/expectations.ts'
import { makeRecording } from './helpers/factories.ts'
import { startProcess } from './helpers/process.ts'
import { type Responder, startResponder } from './helpers/responder.ts'

/** Its end joins its start, so that it can be looped: the samples repeat every 4001. */
const PERIODIC = makeRecording((5 * 4001) / 500)

describe.each(BROKERS)(
  'adapter process with $broker, MQTT protocol $version',
  ({ broker: name, version, start, missing }) => {
    describe.skipIf(missing !== '')(`when it is killed or stopped${missing}`, () => {
      let folder: string
      let aws: Aws
      let broker: Broker
      let responder: Responder
      let link: DeviceLink
      let env: NodeJS.ProcessEnv
      let child: ChildProcess

      beforeEach(async () => {
        folder = mkdtempSync(join(tmpdir(), 'adapter-'))
        ;[aws, broker] = await Promise.all([startAws(), start()])
        responder = startResponder(aws)
        link = await DeviceLink.open({ url: broker.url, version })
        const journal = join(folder, 'journal.db')
        env = { ...aws.env, MQTT_URL: broker.url, MQTT_VERSION: String(version), JOURNAL_PATH: journal }
        child = await startProcess(env)
      })

      afterEach(async () => {
        if (child.exitCode === null && child.signalCode === null) {
          child.kill('SIGKILL')
          await once(child, 'exit')
        }
        await link.close()
        await responder.stop()
        await broker.close()
        await aws.stop()
        rmSync(folder, { recursive: true })
      })

      it('loses and doubles no window over repeated SIGKILLs', async () => {
        const watcher = openTransient({ url: broker.url, version }, 'watcher')
        await watcher.subscribeAsync(topicFilter('frames'), { qos: 0 })
        const framesSeen = (count: number) =>
          new Promise<void>((resolve) => {
            let left = count
            const onFrame = () => {
              if (--left > 0) return
              watcher.off('message', onFrame)
              resolve()
            }
            watcher.on('message', onFrame)
          })
        const devices = ['d0', 'd1', 'd2', 'd3', 'd4', 'd5']

        const ending = new AbortController()
        const { signal } = ending

        const streaming = Promise.all(
          devices.map((device, index) =>
            streamRecording(PERIODIC, {
              link,
              tenant: 'clinic',
              device,
              speed: 12,
              delayMs: index * 20,
              loop: true,
              signal,
            }),
          ),
        )
        for (const frameCount of [25, 61, 40]) {
          await framesSeen(frameCount)
          child.kill('SIGKILL')
          await once(child, 'exit')
          child = await startProcess(env)
        }
        ending.abort()
        const reports = await streaming
        await watcher.endAsync()

        for (const report of reports) expectEachOnce(report, responder)
      })

      // Independent of the broker.
      if (name !== 'aedes') return
      it('sends complete windows on SIGTERM and keeps the rest for the next process', async () => {
        const options = { link, tenant: 'clinic', device: 'd1', session: 's1' }
        const firstResult = Promise.withResolvers<void>()

        const streaming = streamRecording(makeRecording(20), {
          ...options,
          speed: 10,
          onResult: () => firstResult.resolve(),
        })
        await firstResult.promise
        child.kill('SIGTERM')
        const [exitCode] = await once(child, 'exit')
        child = await startProcess(env)
        const report = await streaming

        expect(exitCode).toBe(0)
        expectEachOnce(report, responder)
      })
    })
  },
)
