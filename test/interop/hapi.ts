/**
 * HAPI FHIR, a foreign server, from Maven Central. The first start downloads 400 MB; every start takes 20 s of two free cores or more.
 * @module
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { builtClasspath } from './java.ts'

export interface Hapi {
  readonly baseUrl: string
  stop(): Promise<void>
}

/** Builds the server where that has not been done, and starts it on a free port of 127.0.0.1. */
export async function startHapi(): Promise<Hapi> {
  const classpath = await builtClasspath(join(import.meta.dirname, 'hapi'), 'HapiServer')
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
