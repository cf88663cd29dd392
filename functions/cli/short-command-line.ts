/**
 * A process with a short command line for a long one.
 *
 * ONNX Runtime 1.30 ends with a segmentation fault when it makes a session in a process whose command line is longer than some 28 kB (900 real paths): it reads
 * the command line and recurses over it. So a long one is handed to a second process, by a message.
 * @module
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** Far below what ends it. */
const MAX_COMMAND_LINE = 8 * 1024

/** The only argument of a process that waits for its arguments. */
const HANDED_OVER = '--arguments-follow'

/**
 * The command's arguments, or undefined where another process has done the command: then this one's exit code is that one's.
 * @param main the file that is run
 */
export async function commandArguments(main: string): Promise<readonly string[] | undefined> {
  const args = process.argv.slice(2)
  if (args.length === 1 && args[0] === HANDED_OVER && process.send !== undefined) {
    const [handed] = (await once(process, 'message')) as [readonly string[]] // what is sent below
    process.disconnect()
    return handed
  }
  if (args.reduce((sum, arg) => sum + Buffer.byteLength(arg) + 1, 0) <= MAX_COMMAND_LINE) return args
  const child = fork(main, [HANDED_OVER], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  child.send(args)
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null] // of `exit`
  process.exitCode = signal === null ? (code ?? 1) : 1
  if (signal !== null) process.stderr.write(`the command ended with ${signal}\n`)
  return undefined
}
