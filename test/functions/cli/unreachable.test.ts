import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { freePort } from '../../../cdk/local/free-port.ts'
import { auditCommand } from '../../../functions/cli/audit.ts'
import { dicomCommand } from '../../../functions/cli/dicom.ts'
import { eraseCommand } from '../../../functions/cli/erase/index.ts'
import { fhirCommand } from '../../../functions/cli/fhir.ts'
import { gatewayCommand } from '../../../functions/cli/gateway.ts'
import { reportError } from '../../../functions/cli/output.ts'
import { redriveCommand } from '../../../functions/cli/redrive.ts'
import { streamCommand } from '../../../functions/cli/stream.ts'
import { DEMO } from '../../helpers/cli.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'
import { watchOutput } from '../../helpers/watch.ts'

const ECG = '4f1c6a2e-8d3b-5c7a-9e10-2b3c4d5e6f70'

let port: number
let outputs: string
let site: string

beforeAll(async () => {
  port = await freePort()
  const folder = temporaryFolder()
  const url = `http://127.0.0.1:${port}`
  const queues = ['Intake', 'Screening', 'ResultsMqtt', 'ResultsFhir', 'FhirInbound', 'Synthesis']
  const urls = queues.flatMap((name) => [
    [`${name}QueueUrl`, `${url}/000000000000/${name}`],
    [`${name}DlqUrl`, `${url}/000000000000/${name}-dlq`],
  ])
  outputs = join(folder, 'outputs.json')
  const others = {
    LocalEndpoint: url,
    LocalDynamoEndpoint: url,
    RawBucket: 'raw',
    ResultsTable: 'results',
    AuditTable: 'audit',
    AuditDays: '30',
  }
  writeFileSync(outputs, JSON.stringify({ CardiacNets: { ...Object.fromEntries(urls), ...others } }))
  site = join(folder, 'site.json')
  writeFileSync(site, JSON.stringify({ ehr: { baseUrl: `${url}/fhir`, auth: { kind: 'none' } } }))
})

afterEach(() => {
  vi.restoreAllMocks()
  process.exitCode = undefined
})

/** Each command that calls a service, with what it prints of it. */
const COMMANDS: readonly (readonly [
  what: string,
  command: () => Command,
  args: () => readonly string[],
  says: string,
])[] = [
  [
    'redrive',
    redriveCommand,
    () => ['intake', '--outputs', outputs],
    'A service cannot be reached at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  [
    'audit',
    auditCommand,
    () => ['--ecg', ECG, '--outputs', outputs],
    'A service cannot be reached at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  [
    'erase',
    eraseCommand,
    () => ['--ecg', ECG, '--no-ehr', '--outputs', outputs],
    'A service cannot be reached at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  ['fhir check', fhirCommand, () => ['check', '--site', site], 'failed'],
  [
    'fhir catch-up',
    fhirCommand,
    () => ['catch-up', '--site', site, '--outputs', outputs],
    'The EHR cannot be reached or does not answer in time: http://127.0.0.1:PORT.',
  ],
  ['fhir withdraw', fhirCommand, () => ['withdraw', '--site', site, '--outputs', outputs], '127.0.0.1:PORT'],
  [
    'fhir demo',
    fhirCommand,
    () => ['demo', '--site', site],
    'The EHR cannot be reached or does not answer in time: http://127.0.0.1:PORT.',
  ],
  [
    'stream',
    streamCommand,
    () => [DEMO, '--to', `mqtt://127.0.0.1:${port}`],
    'A service cannot be reached: --to at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  [
    'gateway status',
    gatewayCommand,
    () => ['status', '--status-port', String(port)],
    'A service cannot be reached: --status-port at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  [
    'gateway retry',
    gatewayCommand,
    () => ['retry', '--status-port', String(port)],
    'A service cannot be reached: --status-port at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
  [
    'dicom echo',
    dicomCommand,
    () => ['echo', '--to', `127.0.0.1:${port}`],
    'A service cannot be reached: dicom at 127.0.0.1:PORT.',
  ],
  [
    'dicom stow',
    dicomCommand,
    () => ['stow', DEMO, '--url', `http://127.0.0.1:${port}/dicom-web`],
    'A service cannot be reached: dicomweb at 127.0.0.1:PORT (ECONNREFUSED).',
  ],
]

describe('a command whose service is unreachable', () => {
  it.each(COMMANDS)(
    'exits with 4 and names the address: %s',
    async (_, command, args, says) => {
      const printed = watchOutput()

      const code = await command()
        .exitOverride()
        .parseAsync([...args()], { from: 'user' })
        .then(() => process.exitCode, reportError)

      expect(printed.join('')).toContain(says.replaceAll('PORT', String(port)))
      expect(code).toBe(4)
    },
    30_000,
  )
})

describe('reportError on AWS errors', () => {
  it.each([
    ['missing credentials', Object.assign(new Error('x'), { name: 'CredentialsProviderError' }), 2, 'AWS credentials'],
    ['denied access', awsError('AccessDeniedException', 400 + 3), 2, 'AWS credentials'],
    ['an unknown queue', awsError('QueueDoesNotExist', 400), 2, 'QueueDoesNotExist'],
    ['an outage', awsError('InternalFailure', 500), 4, 'A service cannot be reached: AWS (InternalFailure).'],
    [
      'a closed connection',
      Object.assign(new Error('x'), { code: 'EPIPE' }),
      4,
      'A service cannot be reached (EPIPE).',
    ],
    ['other errors as internal', awsError('ValidationException', 400), 1, 'internal'],
  ])('explains %s', (_, error, expected, says) => {
    const printed = watchOutput()

    const code = reportError(error)

    expect(code).toBe(expected)
    expect(printed.join('')).toContain(says)
  })
})

function awsError(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error('a text that quotes the call'), { name, $metadata: { httpStatusCode } })
}
