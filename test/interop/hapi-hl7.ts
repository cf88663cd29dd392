/**
 * HAPI HL7v2, a foreign peer: sends, receives and validates messages. 12 MB from Maven Central.
 * @module
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { temporaryFolder } from '../helpers/temporary-folder.ts'
import { builtClasspath } from './java.ts'

/** What HAPI makes of a message. */
export interface Judged {
  /** Its class of the message: `ca.uhn.hl7v2.model.v251.message.ORU_R01`. */
  readonly structure: string
  readonly verdict: 'valid' | 'invalid' | 'unknown-structure'
  /** As HAPI writes it again, or why it does not. */
  readonly text: string
}

export interface HapiHl7 {
  /** The port on which it receives messages. */
  readonly port: number
  /** Sends a file to a port of 127.0.0.1. @returns the answer */
  send(port: number, file: string): Promise<Judged>
  check(file: string): Promise<Judged>
  /** The next message that it receives. */
  message(): Promise<Judged>
  stop(): Promise<void>
}

export async function startHapiHl7(): Promise<HapiHl7> {
  const classpath = await builtClasspath(join(import.meta.dirname, 'hapi-hl7'), 'HapiHl7')
  const child = spawn('java', ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', classpath, 'HapiHl7'], {
    // HAPI writes the last control ID into the folder that it is started in.
    cwd: temporaryFolder(),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const said = new Map<string, string[]>()
  const waiting = new Map<string, ((text: string) => void)[]>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, kind, text] = /^HAPI (\S+) (.*)$/.exec(line) ?? []
    if (kind === undefined || text === undefined) return
    const next = waiting.get(kind)?.shift()
    if (next !== undefined) next(text)
    else said.set(kind, [...(said.get(kind) ?? []), text])
  })
  const next = (kind: string) =>
    new Promise<string>((resolve, reject) => {
      const [first, ...others] = said.get(kind) ?? []
      void exited.then(() => reject(new Error('HAPI ended')))
      if (first === undefined) {
        waiting.set(kind, [...(waiting.get(kind) ?? []), resolve])
        return
      }
      said.set(kind, others)
      resolve(first)
    })
  const judged = async (kind: string): Promise<Judged> => {
    const [structure = '', verdict, ...words] = (await next(kind)).split(' ')
    return { structure, verdict: verdict as Judged['verdict'], text: words.join(' ').replaceAll('~~', '\r') } // as HapiHl7.java says it
  }
  return {
    port: Number(await next('port')),
    send(port, file) {
      child.stdin.write(`send ${port} ${file}\n`)
      return judged('answer')
    },
    check(file) {
      child.stdin.write(`check ${file}\n`)
      return judged('checked')
    },
    message: () => judged('message'),
    stop() {
      child.stdin.end()
      return exited
    },
  }
}
