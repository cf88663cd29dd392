/**
 * HAPI FHIR, a server that is not ours, from Maven Central. The first start downloads 400 MB into Maven's own cache; every start takes
 * 20 s of two free cores or more, so tests that need it run only where they are asked for.
 * @module
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

const FOLDER = join(import.meta.dirname, 'hapi')

const has = (command: string, option: string) => spawnSync(command, [option], { stdio: 'ignore' }).status === 0

/** Why there is no HAPI here; `undefined` where there is. */
export function whyNoHapi(): string | undefined {
  if (process.env.CARDIACNETS_INTEROP === undefined) return 'not asked for: set CARDIACNETS_INTEROP=1'
  if (!has('javac', '-version')) return 'no JDK (17 or newer) on the path'
  if (!has('mvn', '-version')) return 'no Maven on the path'
  return undefined
}

export interface Hapi {
  readonly baseUrl: string
  stop(): Promise<void>
}

/** Builds the server where that has not been done, and starts it on a free port of 127.0.0.1. */
export async function startHapi(): Promise<Hapi> {
  const classpath = await build()
  const child = spawn('java', ['-Xmx1g', '-XX:TieredStopAtLevel=1', '-cp', classpath, 'HapiServer'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const started = Promise.withResolvers<string>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith('HAPI: ')) started.resolve(line.slice('HAPI: '.length))
  })
  void exited.then(() => started.reject(new Error('HAPI ended before it had started')))
  return {
    baseUrl: await started.promise,
    stop() {
      child.stdin.end()
      return exited
    },
  }
}

/** The class path: our few lines of Java, compiled, and HAPI. Kept for the next time, as long as neither changes. */
async function build(): Promise<string> {
  const [pom, source] = [join(FOLDER, 'pom.xml'), join(FOLDER, 'HapiServer.java')]
  const key = createHash('sha256').update(readFileSync(pom)).update(readFileSync(source)).digest('hex').slice(0, 16)
  const built = join(tmpdir(), `cardiacnets-hapi-${key}`)
  const list = join(built, 'classpath')
  const run = promisify(execFile)
  if (!existsSync(join(built, 'HapiServer.class'))) {
    mkdirSync(built, { recursive: true })
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:build-classpath', `-Dmdep.outputFile=${list}`])
    await run('javac', ['-cp', readFileSync(list, 'utf8'), '-d', built, source])
  }
  return [built, FOLDER, readFileSync(list, 'utf8')].join(delimiter)
}
