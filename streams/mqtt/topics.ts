/**
 * The topics of DESIGN section 3: `ecg/v1/{tenant}/{device}/{channel}`.
 * @module
 */
import { CodedError } from '../../shared/errors.ts'
import { Name } from '../../shared/messages.ts'

/** `frames`, `window` and `status` are sent by the device, `results` and `cmd` to it. */
const CHANNELS = ['frames', 'window', 'status', 'results', 'cmd'] as const

export type Channel = (typeof CHANNELS)[number]

export interface Topic {
  readonly tenant: string
  readonly device: string
  readonly channel: Channel
}

const PREFIX = 'ecg/v1'

/** @example buildTopic({ tenant: 'clinic', device: 'd1', channel: 'frames' }) // ecg/v1/clinic/d1/frames */
export function buildTopic({ tenant, device, channel }: Topic): string {
  return `${PREFIX}/${tenant}/${device}/${channel}`
}

/** The filter for a channel of all devices. */
export function topicFilter(channel: Channel, tenant = '+'): string {
  return buildTopic({ tenant, device: '+', channel })
}

/**
 * Prefix of a topic that goes only to one AWS IoT Core rule (Basic Ingest).
 * https://docs.aws.amazon.com/iot/latest/developerguide/iot-basic-ingest.html
 */
export const basicIngestPrefix = (rule: string) => `$aws/rules/${rule}`

/** Removes such a prefix from a topic. */
export const withoutBasicIngest = (topic: string) => topic.replace(/^\$aws\/rules\/\w{1,128}\//, '')

/** @throws CodedError `topic-invalid` naming the part at fault */
export function parseTopic(text: string): Topic {
  const [prefix, version, tenant, device, channel, ...rest] = text.split('/')
  if (`${prefix}/${version}` !== PREFIX || rest.length > 0) throw new CodedError('topic-invalid', { field: 'topic' })
  if (!isName(tenant)) throw new CodedError('topic-invalid', { field: 'tenant' })
  if (!isName(device)) throw new CodedError('topic-invalid', { field: 'device' })
  const known = CHANNELS.find((name) => name === channel)
  if (known === undefined) throw new CodedError('topic-invalid', { field: 'channel' })
  return { tenant, device, channel: known }
}

function isName(part: string | undefined): part is string {
  return Name.safeParse(part).success
}
