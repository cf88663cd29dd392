import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../shared/observe/logging.ts'
import {
  childOf,
  currentTrace,
  formatTraceparent,
  inTrace,
  newTrace,
  parseTraceparent,
  traceHeaders,
} from '../../../shared/observe/tracing.ts'
import { linesOf } from '../../helpers/emf.ts'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN_ID = '00f067aa0ba902b7'

describe('parseTraceparent', () => {
  it('reads the example of the standard, which formatTraceparent writes back', () => {
    const text = `00-${TRACE_ID}-${SPAN_ID}-01`

    const trace = parseTraceparent(text)

    expect(trace).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, isSampled: true })
    expect(formatTraceparent(trace!)).toBe(text)
  })

  it.each([
    ['has a later version and further fields', `01-${TRACE_ID}-${SPAN_ID}-00-what-comes`, false],
    ['has unknown flags', `00-${TRACE_ID}-${SPAN_ID}-fe`, false],
  ])('accepts a header that %s', (_, text, isSampled) => {
    expect(parseTraceparent(text)).toEqual({ traceId: TRACE_ID, spanId: SPAN_ID, isSampled })
  })

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['of an invalid version', `ff-${TRACE_ID}-${SPAN_ID}-01`],
    ['longer than its version permits', `00-${TRACE_ID}-${SPAN_ID}-01-more`],
    ['in upper case', `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`],
    ['without a trace ID', `00-${'0'.repeat(32)}-${SPAN_ID}-01`],
    ['without a span ID', `00-${TRACE_ID}-${'0'.repeat(16)}-01`],
    ['too short', `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`],
    ['a person’s name', 'Jane Doe'],
  ])('rejects a header that is %s, so a new trace begins', (_, text) => {
    expect(parseTraceparent(text)).toBeUndefined()
    expect(parseTraceparent(formatTraceparent(childOf(text)))).toMatchObject({ isSampled: false })
    expect(childOf(text).traceId).not.toBe(TRACE_ID)
  })

  it('gives a child span in the same trace', () => {
    const child = childOf(`00-${TRACE_ID}-${SPAN_ID}-01`)

    expect(child).toMatchObject({ traceId: TRACE_ID, isSampled: true })
    expect(child.spanId).not.toBe(SPAN_ID)
  })
})

describe('a trace', () => {
  it('is current during its own work only, also beside concurrent traces', async () => {
    const traces = [newTrace(true), newTrace(true)]

    const seen = await Promise.all(
      traces.map((trace, index) =>
        inTrace(trace, async () => {
          await sleep(index)
          return [currentTrace(), traceHeaders().traceparent]
        }),
      ),
    )

    expect(seen).toEqual(traces.map((trace) => [trace, formatTraceparent(trace)]))
    expect(traceHeaders()).toEqual({})
  })

  it('appears in log lines when it is sampled, and in all warnings and errors', async () => {
    const logger = createLogger('test')
    logger.setLogLevel('INFO')
    const [sampled, other] = [newTrace(true), newTrace(false)]

    const lines = await linesOf(() => {
      for (const trace of [sampled, other]) inTrace(trace, () => logger.info('all is well'))
      inTrace(other, () => logger.error('message failed'))
      logger.error('message failed')
    })

    const ids = lines.filter((line) => line !== '').map((line) => JSON.parse(line).traceId)
    expect(ids).toEqual([sampled.traceId, undefined, other.traceId, undefined])
  })
})
