/**
 * The device that `npm start` runs. It streams a virtual person's ECG in real time and prints one line per result.
 * @module
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Result } from '../../shared/domain/result.ts'
import { readRecording } from '../../streams/formats/index.ts'
import { streamRecording } from '../../streams/mqtt/device.ts'
import { DeviceLink } from '../../streams/mqtt/device-link.ts'

const { values } = parseArgs({ options: { to: { type: 'string', default: 'mqtt://127.0.0.1:1883' } } })

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
process.once('SIGINT', () => stop.abort())

const recording = await readRecording(join(import.meta.dirname, 'demo', 'virtual-ecg.hea'))
const link = await DeviceLink.open({ url: values.to, version: 4 })
await streamRecording(recording, {
  link,
  tenant: 'local',
  device: 'demo',
  loop: true,
  signal: stop.signal,
  resultTimeoutMs: 2000,
  onResult: (result, { latencyMs }) => console.log(`${describe(result)}  (${Math.round(latencyMs ?? 0)} ms)`),
})
await link.close()

/** A result in one line. */
function describe({ status, quality, findings, span }: Result): string {
  const seconds = `demo device, from sample ${span.firstSample}`
  if (status === 'refused') return `${seconds}: refused (${quality.reasons.join(', ')})`
  return `${seconds}: ${findings.map(({ condition, probability }) => `${condition} ${probability.toFixed(2)}`).join('  ')}`
}
