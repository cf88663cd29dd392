import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest'
import { CodedError } from '../../../shared/errors.ts'
import { createLogger, describeError, LOG_FIELDS, type LogFields } from '../../../shared/observe/logging.ts'
import { takeDropped } from '../../helpers/logs.ts'

const PATIENT = 'Jane Doe, 1970-01-01'
const ECG_ID = 'ee79d91b-783a-56af-aac1-38e1d995af23'

const logger = createLogger('test')
let printed: MockInstance
beforeEach(() => {
  vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'true')
  // Powertools writes to its own console.
  printed = vi.spyOn((logger as unknown as { console: Console }).console, 'error').mockImplementation(() => {})
})
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
})

const lines = () => printed.mock.calls.map(([line]) => JSON.parse(line))

describe('a log line', () => {
  it('contains only our fields and our subset of Powertools’ fields', () => {
    logger.error('message failed', { code: 'lead-unknown', field: 'leads[3].name', ecgId: ECG_ID, status: undefined })

    const [line] = lines()
    expect(line).toMatchObject({
      message: 'message failed',
      code: 'lead-unknown',
      field: 'leads[3].name',
      ecgId: ECG_ID,
    })
    const ours = ['level', 'message', 'timestamp', 'service', 'sampling_rate', 'xray_trace_id']
    expect(Object.keys(line).filter((key) => !ours.includes(key) && !Object.hasOwn(LOG_FIELDS, key))).toEqual([])
  })

  it.each([
    ['an unknown field', { patient: 'Patient/123' }],
    ['a device named like a person', { device: PATIENT }],
    ['a field that quotes its input', { field: `name ${PATIENT}` }],
    ['an invalid ID', { ecgId: PATIENT }],
    ['an invalid count', { frames: { accepted: PATIENT } }],
    ['an error', { error: new Error(PATIENT) }],
    ["an object's own prototype", { toString: PATIENT }],
  ])('drops and counts %s', (_, fields) => {
    logger.error('message failed', { code: 'internal', ...(fields as LogFields) }) // as code would that nobody checked

    expect(takeDropped()).toEqual([{ service: 'test', key: Object.keys(fields)[0] }])
    expect(lines()).toEqual([expect.objectContaining({ code: 'internal', droppedFields: 1 })])
    expect(JSON.stringify(lines())).not.toContain('Doe')
  })

  it('drops an error or text beside the message, and withholds a message that is not in the code', () => {
    const unchecked = logger as unknown as { error(message: unknown, ...rest: unknown[]): void }

    unchecked.error(`no such patient: ${PATIENT} <jane@example.org>`)
    unchecked.error({ message: PATIENT, patient: PATIENT })
    unchecked.error('message failed', new Error(PATIENT))
    unchecked.error('message failed', PATIENT)

    takeDropped()
    expect(lines().map(({ message }) => message)).toEqual([
      'message withheld',
      'message withheld',
      'message failed',
      'message failed',
    ])
    expect(JSON.stringify(lines())).not.toContain('Doe')
  })

  it('does not compile with an interpolated message or an unknown field', () => {
    const name: string = 'x'
    logger.setLogLevel('SILENT')

    // @ts-expect-error a text that is not in the code
    logger.info(name)
    // @ts-expect-error nor one with such a text in it
    logger.info(`hello ${name}`)
    // @ts-expect-error no such field
    logger.info('hello', { patient: 'Patient/123' })
    logger.info(`adapter ${name === 'x' ? 'on' : 'off'}`)

    logger.setLogLevel('INFO')
    expect(takeDropped()).toHaveLength(1)
  })
})

describe('an uncaught error', () => {
  it('ends the process with a line that names only the error’s class', async () => {
    const script = `
      import { createLogger, logUncaught } from './shared/observe/logging.ts'
      logUncaught(createLogger('test'))
      setImmediate(() => Promise.reject(new TypeError('${PATIENT}')))`

    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])

    const { code, stdout, stderr } = await run.catch((error) => error)
    expect(code).toBe(1)
    expect(JSON.parse(stderr)).toMatchObject({ level: 'CRITICAL', message: 'uncaught error', cause: 'TypeError' })
    expect(stdout + stderr).not.toContain('Doe')
  })
})

describe('describeError', () => {
  it.each([
    [new CodedError('lead-unknown', { field: 'a.b', line: 3 }), { code: 'lead-unknown', field: 'a.b', line: 3 }],
    [new CodedError('field-invalid', { field: PATIENT, known: PATIENT, max: 3 }), { code: 'field-invalid' }],
    [new CodedError('internal', {}, { cause: new TypeError(PATIENT) }), { code: 'internal', cause: 'TypeError' }],
    [Object.assign(new Error(PATIENT), { code: 'ECONNREFUSED' }), { code: 'internal', cause: 'Error ECONNREFUSED' }],
    [Object.assign(new Error(PATIENT), { code: PATIENT }), { code: 'internal', cause: 'Error' }],
    [Object.assign(new Error(PATIENT), { name: PATIENT }), { code: 'internal', cause: 'Error' }],
    [PATIENT, { code: 'internal', cause: 'string' }],
  ])('gives only code, place and class (case %#)', (error, description) => {
    expect(describeError(error)).toEqual(description)
  })
})
