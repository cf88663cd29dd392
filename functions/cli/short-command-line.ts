/**
 * Runs a command with a long command line in a process with a short one.
 *
 * ONNX Runtime 1.30 crashes with a segmentation fault when it makes a session in a process whose command line is longer than about 28 kB
 * (900 real paths), because it parses the command line recursively. Long arguments are therefore passed to a second process in a message.
 * @module
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'

/** Longest command line that is used directly, bytes; far below the limit. */
const MAX_COMMAND_LINE = 8 * 1024

/** Only argument of a process that waits for its arguments. */
const HANDED_OVER = '--arguments-follow'

/**
 * The arguments of the command, or `undefined` when a second process has run it; then this process has that one's exit code.
 * @param main the file to run
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
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null] // arguments of `exit`
  process.exitCode = signal === null ? (code ?? 1) : 1
  if (signal !== null) process.stderr.write(`the command ended with ${signal}\n`)
  return undefined
}
