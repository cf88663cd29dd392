/**
 * Requests as no client sends them, to every address that the stack listens on.
 * @module
 */
import { DeviceLink } from '../../../streams/mqtt/device-link.ts'
import { MALFORMED_REQUESTS, sendRaw, statusOf } from '../../helpers/request-lines.ts'
import type { Attack } from './attack.ts'
import { forEach, type World } from './world.ts'

const kind = 'request lines'

/** By what listens there. */
const SERVERS: Readonly<Record<string, (world: World) => string>> = {
  'the API': ({ stack }) => stack.apiUrl,
  'the sandbox EHR': ({ stack }) => stack.site.ehr!.baseUrl,
  'SQS, SNS and S3': ({ stack }) => stack.env.AWS_ENDPOINT_URL_SQS!,
  DynamoDB: ({ stack }) => stack.env.AWS_ENDPOINT_URL_DYNAMODB!,
  Batch: ({ stack }) => stack.env.AWS_ENDPOINT_URL_BATCH!,
  'the data plane of IoT': ({ stack }) => stack.env.AWS_ENDPOINT_URL_IOT_DATA_PLANE!,
}

const portOf = (url: string) => Number(new URL(url).port)

const sendAll = (port: number) => forEach(MALFORMED_REQUESTS, 20, (bytes) => sendRaw(port, bytes))

/** Invalid MQTT packets: unknown type, too long, truncated, unknown protocol. */
const MALFORMED_PACKETS: readonly string[] = [
  '\x00\x00',
  '\xf0\xff\xff\xff\x7f',
  '\x10\xff\xff\xff\xff\xff',
  '\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\xff\xff',
  '\x10\x0c\x00\x04XXXX\x04\x02\x00\x3c\x00\x00',
  '\x30\x03\x00\x10a',
  '\x82\x02\x00\x00',
  'GET / HTTP/1.1\r\n\r\n',
]

export const REQUEST_LINE_ATTACKS: readonly Attack[] = [
  ...Object.entries(SERVERS).map(([name, addressOf]) => ({
    kind,
    name: `${MALFORMED_REQUESTS.length} malformed requests to ${name}`,
    expected: 'it goes on',
    async run(world: World) {
      const port = portOf(addressOf(world))
      await sendAll(port)
      const { status } = await fetch(`http://127.0.0.1:${port}/nothing`, { method: 'OPTIONS' })
      return status > 0 ? 'it goes on' : 'no answer'
    },
  })),
  ...Object.entries(SERVERS).map(([name, addressOf]) => ({
    kind,
    name: `another host name (DNS rebinding) at ${name}`,
    expected: '400 400',
    async run(world: World) {
      const hosts = ['evil.example', '127.0.0.1.evil.example']
      const statuses = []
      for (const host of hosts) {
        const request = `GET /x HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
        statuses.push(statusOf(await sendRaw(portOf(addressOf(world)), request)))
      }
      return statuses.join(' ')
    },
  })),
  {
    kind,
    name: 'bytes that are not MQTT at the broker',
    expected: 'it goes on',
    async run({ stack }) {
      const port = portOf(stack.mqttUrl)
      await forEach([...MALFORMED_PACKETS, ...MALFORMED_REQUESTS.slice(0, 50)], 20, (bytes) => sendRaw(port, bytes))
      const link = await DeviceLink.open({ url: stack.mqttUrl, version: 4 })
      await link.close()
      return 'it goes on'
    },
  },
  {
    kind,
    name: 'all of the above, with a healthy /healthz afterwards',
    expected: '200',
    run: async ({ request }) => String((await request('/healthz')).status),
  },
]
