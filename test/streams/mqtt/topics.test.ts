import { describe, expect, it } from 'vitest'
import { buildTopic, parseTopic, topicFilter } from '../../../streams/mqtt/topics.ts'

describe('MQTT topics', () => {
  it('parse back to what they were built from', () => {
    const topic = { tenant: 'clinic-1', device: 'holter:7', channel: 'frames' } as const

    const text = buildTopic(topic)

    expect(text).toBe('ecg/v1/clinic-1/holter:7/frames')
    expect(parseTopic(text)).toEqual(topic)
  })

  it('have a filter for all devices', () => {
    expect(topicFilter('window')).toBe('ecg/v1/+/+/window')
  })

  it.each([
    ['ecg/v2/clinic/d1/frames', 'topic'],
    ['ecg/v1/clinic/d1/frames/more', 'topic'],
    ['ecg/v1//d1/frames', 'tenant'],
    ['ecg/v1/a clinic/d1/frames', 'tenant'],
    ['ecg/v1/clinic/-d1/frames', 'device'],
    ['ecg/v1/clinic/d1/other', 'channel'],
    ['ecg/v1/clinic/d1', 'channel'],
  ])('refuse %s and name the %s', (text, field) => {
    expect(() => parseTopic(text)).toThrow(expect.objectContaining({ code: 'topic-invalid', detail: { field } }))
  })
})
