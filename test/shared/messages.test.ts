import { describe, expect, it } from 'vitest'
import type * as z from 'zod'
import {
  CineMessage,
  FhirInboundMessage,
  IntakeInput,
  parseMessage,
  ReportMessage,
  ResultMessage,
  ScreeningMessage,
  SynthesisMessage,
} from '../../shared/messages.ts'
import { codedError } from '../helpers/errors.ts'
import { OLD_MESSAGES, oldMessage } from '../helpers/old-messages.ts'

/** The reader of each message, by its queue. */
const READERS: Readonly<Record<string, z.ZodType>> = {
  'intake-inline': IntakeInput,
  'intake-claim-check': IntakeInput,
  screening: ScreeningMessage,
  'screening-refused': ScreeningMessage,
  result: ReportMessage,
  'session-check': ReportMessage,
  cine: ReportMessage,
  'fhir-resource': FhirInboundMessage,
  'fhir-poll': FhirInboundMessage,
  'cmr-draw': SynthesisMessage,
  'cmr-cancel': SynthesisMessage,
  'cmr-ended': SynthesisMessage,
}

describe.each(OLD_MESSAGES)('a message of an earlier release (%s)', (name) => {
  it('is read whole by the current code', async () => {
    const body = await oldMessage(name)

    const read = parseMessage(READERS[name]!, body)

    expect(read).toEqual(JSON.parse(body))
  })

  it('is refused as unsupported under a newer schema version, whatever its other fields', async () => {
    const later = { ...JSON.parse(await oldMessage(name)), schema: 2, kind: 'of-the-future' }

    const read = () => parseMessage(READERS[name]!, JSON.stringify(later))

    expect(codedError(read).code).toBe('schema-unsupported')
  })
})

it('parseMessage refuses a message without a schema version', () => {
  const read = () => parseMessage(ResultMessage, '{"tenant":"clinic"}')

  expect(codedError(read).code).toBe('schema-unsupported')
})

it('parseMessage refuses an invalid field of the current schema', () => {
  const read = () => parseMessage(CineMessage, '{"schema":1,"kind":"cine","tenant":"clinic","jobId":"x"}')

  expect(codedError(read).code).toBe('field-invalid')
})
