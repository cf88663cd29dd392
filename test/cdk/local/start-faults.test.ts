import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { S3Client } from '@aws-sdk/client-s3'
import { SQSClient } from '@aws-sdk/client-sqs'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { startEmulators } from '../../../cdk/local/aws/emulators.ts'
import { claimFolder } from '../../../cdk/local/data-folder.ts'
import { freePort } from '../../../cdk/local/free-port.ts'
import { CompanionError, checkStart, exitCodeOf, wordsOf } from '../../../cdk/local/start-fault.ts'
import { readModel } from '../../../functions/cli/model-options.ts'
import { Screener } from '../../../shared/inference/screener.ts'
import { createLogger } from '../../../shared/observe/logging.ts'
import { parseGatewayConfig, readGatewayConfig } from '../../../streams/gateway/config.ts'
import { startGateway } from '../../../streams/gateway/gateway.ts'
import { listen } from '../../../streams/gateway/listen.ts'
import { startAdapter } from '../../../streams/mqtt/adapter.ts'
import { ConfigError, readConfig } from '../../../streams/mqtt/config.ts'
import { temporaryFolder } from '../../helpers/temporary-folder.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const MODEL = join(ROOT, 'models/cardiacnets-compact')

interface Fault {
  readonly what: string
  /** Makes the fault in an empty folder, and starts what meets it. */
  readonly start: (folder: string) => unknown
  /** What is said; `FOLDER` is that folder. */
  readonly says: string
  readonly exits: 1 | 2 | 4
}

const put = (path: string, content: string) => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}
const junk = 'x'.repeat(9000)

/** A database of some other program. */
const putForeign = (path: string) => {
  mkdirSync(dirname(path), { recursive: true })
  const db = new DatabaseSync(path)
  db.exec('CREATE TABLE letters (text)')
  db.close()
  return path
}
/** Ours, of a version that is yet to be written. */
const putNewer = (path: string) => {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA user_version = 999')
  db.close()
  return path
}

const logger = createLogger('test')
logger.setLogLevel('SILENT')

/** The MQTT adapter, with its journal in the folder. */
const adapter = (folder: string) => {
  const env = {
    MQTT_URL: 'mqtt://127.0.0.1:1',
    JOURNAL_PATH: join(folder, 'journal.db'),
    INTAKE_QUEUE_URL: 'http://127.0.0.1:1/intake',
    INTAKE_DLQ_URL: 'http://127.0.0.1:1/dlq',
    RESULTS_MQTT_QUEUE_URL: 'http://127.0.0.1:1/results',
    RAW_BUCKET: 'raw',
  }
  return startAdapter(readConfig([], env)!, { sqs: new SQSClient({}), s3: new S3Client({}), logger })
}

/** The gateway, with its data in `data` of the folder. */
const gateway = (folder: string, config: object = {}, model = MODEL) =>
  startGateway(
    { ...parseGatewayConfig({ status: { port: 0 }, ...config }), data: join(folder, 'data') },
    { logger, screening: { bundleDirectory: model, siteFile: undefined, codeVersion: 'test' } },
  )

const half = (folder: string) => dirname(put(join(folder, 'model/manifest.json'), '{"schema":1,'))
const empty = (folder: string) => dirname(put(join(folder, 'model/readme'), ''))
const cut = (folder: string) => {
  const model = empty(folder)
  cpSync(join(MODEL, 'manifest.json'), join(model, 'manifest.json'))
  writeFileSync(join(model, 'screen.onnx'), junk)
  return model
}

const DAMAGED = 'Restore it from a backup. Or move it away and restart: its contents are lost then. [data-corrupt]'
const NO_MODEL =
  'The folder contains no model bundle: FOLDER/model has no manifest.json. Pass one with --model, or run `cardiacnets models use`. [bundle-missing]'
const HALF_MANIFEST =
  'A file of the model bundle does not match the manifest: manifest.json of FOLDER/model. Install the bundle again. [bundle-corrupt]'
const OTHER_NETWORK =
  'A file of the model bundle does not match the manifest: screen.onnx of FOLDER/model. Install the bundle again. [bundle-corrupt]'

/** Each startup error: the program, its message and its exit code. docs/faults.md has the same table. */
const FAULTS: readonly Fault[] = [
  {
    what: 'npm start: a file in place of the data folder',
    start: (folder) => claimFolder(put(join(folder, 'data'), '')),
    says: 'FOLDER/data is not a folder: pass --data with another one.',
    exits: 2,
  },
  {
    what: 'npm start: the data folder of another user',
    start: (folder) => claimFolder(dirname(put(join(folder, 'letter.txt'), 'dear'))),
    says: 'FOLDER holds other files and none of ours: pass --data with a folder that is empty, or a new one.',
    exits: 2,
  },
  {
    what: 'npm start: a lock file that is not a database',
    start: (folder) => claimFolder(dirname(put(join(folder, 'lock.db'), junk))),
    says: 'FOLDER/lock.db is not ours: remove it, or pass --data.',
    exits: 2,
  },
  {
    what: 'npm start: a damaged fauxqs.db',
    start: (folder) => startEmulators(dirname(dirname(put(join(folder, 'queues/fauxqs.db'), junk)))),
    says: `A data file is damaged: fauxqs.db of FOLDER/queues. ${DAMAGED}`,
    exits: 2,
  },
  {
    what: 'npm start: an emptied MANIFEST of the table store',
    async start(folder) {
      await (await startEmulators(folder)).stop()
      const manifest = readdirSync(join(folder, 'tables')).find((name) => name.startsWith('MANIFEST'))!
      truncateSync(join(folder, 'tables', manifest), 0)
      await startEmulators(folder)
    },
    says: `A data file is damaged: MANIFEST-000002 of FOLDER/tables. ${DAMAGED}`,
    exits: 2,
  },
  {
    what: 'npm start: a model folder without its manifest',
    start: (folder) => checkStart(undefined, empty(folder)),
    says: NO_MODEL,
    exits: 2,
  },
  {
    what: 'npm start: half a manifest',
    start: (folder) => checkStart(undefined, half(folder)),
    says: HALF_MANIFEST,
    exits: 2,
  },
  {
    what: 'npm start: a network that differs from the manifest',
    start: (folder) => checkStart(undefined, cut(folder)),
    says: OTHER_NETWORK,
    exits: 2,
  },
  {
    what: 'npm start: a damaged journal, reported by its adapter',
    start(folder) {
      put(join(folder, 'journal.db'), junk)
      const words = [String(caught(() => adapter(folder)))]
      throw new CompanionError('The MQTT adapter', { status: 2, words })
    },
    says: `The MQTT adapter: ConfigError: JOURNAL_PATH: A data file is damaged: journal.db of FOLDER. ${DAMAGED.replace(' [data-corrupt]', '')}`,
    exits: 2,
  },
  {
    what: 'adapter: a damaged journal',
    start: (folder) => adapter(dirname(put(join(folder, 'journal.db'), junk))),
    says: `JOURNAL_PATH: A data file is damaged: journal.db of FOLDER. ${DAMAGED.replace(' [data-corrupt]', '')}`,
    exits: 2,
  },
  {
    what: 'adapter: a journal in a missing folder',
    start: (folder) => adapter(join(folder, 'nowhere')),
    says: 'JOURNAL_PATH: The data cannot be read or written: journal.db of FOLDER/nowhere. Change the folder’s owner or permissions, or choose another folder.',
    exits: 2,
  },
  {
    what: 'adapter: a foreign database as journal',
    start: (folder) => adapter(dirname(putForeign(join(folder, 'journal.db')))),
    says: 'JOURNAL_PATH: The data belongs to another program: journal.db of FOLDER. Choose another folder, or move the file away.',
    exits: 2,
  },
  {
    what: 'adapter: a journal of a later version',
    start: (folder) => adapter(dirname(putNewer(join(folder, 'journal.db')))),
    says: 'JOURNAL_PATH: The data was written by a newer version of this program: journal.db of FOLDER. Update the program, or choose another folder.',
    exits: 2,
  },
  ...['ecgs.db', 'frames.db'].flatMap((name): readonly Fault[] => [
    {
      what: `gateway: a damaged ${name}`,
      start: (folder) => gateway(dirname(dirname(put(join(folder, 'data', name), junk)))),
      says: `A data file is damaged: ${name} of FOLDER/data. ${DAMAGED}`,
      exits: 2,
    },
    {
      what: `gateway: a database of another program for ${name}`,
      start: (folder) => gateway(dirname(dirname(putForeign(join(folder, 'data', name))))),
      says: `The data belongs to another program: ${name} of FOLDER/data. Choose another folder, or move the file away. [data-foreign]`,
      exits: 2,
    },
  ]),
  {
    what: 'gateway: a file in place of its folder',
    start: (folder) => gateway(dirname(put(join(folder, 'data'), ''))),
    says: 'The data cannot be read or written: data of FOLDER. Change the folder’s owner or permissions, or choose another folder. [data-unwritable]',
    exits: 2,
  },
  {
    what: 'gateway: a file in place of the watched folder',
    start: (folder) => gateway(folder, { folder: { watch: put(join(folder, 'inbox'), '') } }),
    says: 'The data cannot be read or written: inbox of FOLDER. Change the folder’s owner or permissions, or choose another folder. [data-unwritable]',
    exits: 2,
  },
  {
    what: 'gateway: a model folder without its manifest',
    start: (folder) => gateway(folder, {}, empty(folder)),
    says: NO_MODEL,
    exits: 2,
  },
  {
    what: 'gateway: half a manifest',
    start: (folder) => gateway(folder, {}, half(folder)),
    says: HALF_MANIFEST,
    exits: 2,
  },
  {
    what: 'gateway: a network that differs from the manifest',
    start: (folder) => gateway(folder, {}, cut(folder)),
    says: OTHER_NETWORK,
    exits: 2,
  },
  {
    what: 'screen: a model folder without its manifest',
    start: (folder) => readModel({ model: empty(folder) }),
    says: NO_MODEL,
    exits: 2,
  },
  {
    what: 'screen: half a manifest',
    start: (folder) => readModel({ model: half(folder) }),
    says: HALF_MANIFEST,
    exits: 2,
  },
  {
    what: 'screen: a network that differs from the manifest',
    start: async (folder) => Screener.load((await readModel({ model: cut(folder) })).bundle),
    says: OTHER_NETWORK,
    exits: 2,
  },
  {
    what: 'gateway: a missing certificate',
    start: (folder) =>
      gateway(folder, { mqtt: { port: 0, tls: { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') } } }),
    says: 'The input does not exist or is not readable: mqtt.tls.cert (cert.pem of FOLDER). Check its name and permissions. A WFDB record needs all its files. [file-not-found]',
    exits: 2,
  },
  {
    what: 'gateway: an invalid certificate',
    start: (folder) =>
      gateway(folder, {
        hl7: { port: 0, tls: { cert: put(join(folder, 'cert.pem'), junk), key: put(join(folder, 'key.pem'), junk) } },
      }),
    says: 'The site configuration is invalid: hl7.tls (a certificate and its key, as PEM). Correct it (docs/fhir.md, docs/gateway.md). [site-config-invalid]',
    exits: 2,
  },
  {
    what: 'gateway: half a configuration',
    start: (folder) => readGatewayConfig(put(join(folder, 'gateway.json'), '{"data":')),
    says: 'The site configuration is invalid: gateway, gateway.json of FOLDER. Correct it (docs/fhir.md, docs/gateway.md). [site-config-invalid]',
    exits: 2,
  },
  {
    what: 'gateway: a missing configuration',
    start: (folder) => readGatewayConfig(join(folder, 'gateway.json')),
    says: 'The input does not exist or is not readable: gateway (gateway.json of FOLDER). Check its name and permissions. A WFDB record needs all its files. [file-not-found]',
    exits: 2,
  },
]

function caught(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

/** As the processes end: the adapter's own class means 2. */
const codeOf = (error: unknown) => (error instanceof ConfigError ? 2 : exitCodeOf(error))

describe('a fault at startup is reported with file, folder, remedy and exit code', () => {
  it.each(FAULTS)('$what: $exits', async ({ start, says, exits }) => {
    const folder = temporaryFolder()

    const error = await (async () => start(folder))().then(
      () => new Error('it started'),
      (fault: unknown) => fault,
    )

    expect(wordsOf(error)).toBe(says.replaceAll('FOLDER', folder))
    expect(codeOf(error)).toBe(exits)
  })

  it('gateway: a port in use: 1', async () => {
    const other = createServer()
    const port = await freePort()
    await listen(other, port, '127.0.0.1', 'gateway.mqtt', 1)
    onTestFinished(() => void other.close())

    const error = await listen(createServer(), port, '127.0.0.1', 'gateway.hl7', 1).catch((fault: unknown) => fault)

    expect(wordsOf(error)).toBe(
      `A port is already in use: ${port} (gateway.hl7). Stop the process that uses it, or choose another port. [port-taken]`,
    )
    expect(codeOf(error)).toBe(1)
  })

  it('npm start: a data folder used by another stack: 2', () => {
    const folder = temporaryFolder()
    onTestFinished(claimFolder(folder))

    const error = caught(() => claimFolder(folder))

    expect(wordsOf(error)).toBe(
      `${folder} is in use by another stack: stop that one, or pass --data with another folder.`,
    )
    expect(codeOf(error)).toBe(2)
  })

  it.runIf(process.getuid?.() === 0)('npm start: a data folder without write access: 2', () => {
    // Root can write everywhere, so the test runs as `nobody`.
    const script = `const { claimFolder } = await import(process.argv[1]); try { claimFolder('/var/lib/cardiacnets') } catch (error) { console.log(error.message) }`
    const module = join(ROOT, 'cdk/local/data-folder.ts')

    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', script, module], {
      uid: 65534,
      encoding: 'utf8',
    })

    expect(stdout.trim()).toBe(
      '/var/lib/cardiacnets cannot be written: change its owner or rights, or pass --data with another folder.',
    )
  })
})

describe('an emptied journal', () => {
  it.each(['adapter', 'gateway'])('is reported by the %s, which keeps running', async (who) => {
    const folder = temporaryFolder()
    put(join(folder, who === 'adapter' ? 'journal.db' : 'data/ecgs.db'), '')
    const critical = vi.spyOn(logger, 'critical')

    const started = await (who === 'adapter' ? adapter(folder) : gateway(folder))
    await started.stop()

    const said = critical.mock.calls.map(([message, fields]) => [message, fields?.field])
    critical.mockRestore()
    expect(said).toEqual([
      who === 'adapter'
        ? ['the journal was emptied: what it held is lost', 'JOURNAL_PATH']
        : ['a journal was emptied: what it held is lost', 'ecgs.db'],
    ])
  })
})
