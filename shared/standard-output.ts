/**
 * Standard output of a command whose reader may leave early, as in `| head -1`.
 *
 * Node.js ignores SIGPIPE. A write to a closed pipe is therefore an `error` event (`EPIPE`) of the stream, which ends the process with a
 * stack trace unless somebody listens (https://nodejs.org/api/process.html#a-note-on-process-io). A closed pipe is no fault: the reader has
 * what it wants. A command that only prints ends; one that changes something goes on, so that its work is not left half done.
 * @module
 */
import { once } from 'node:events'
import { CodedError } from './errors.ts'

/** First fault of standard output in this process. */
let fault: NodeJS.ErrnoException | undefined

/**
 * Listens for faults of standard output and standard error. Call it once, before anything is printed.
 * @param report prints the error of another fault than a closed pipe, such as a full disk, and returns the exit code. It is called once
 */
export function watchStandardOutput(report: (error: unknown) => number): void {
  // Nobody can be told that standard error has no reader.
  process.stderr.on('error', () => {})
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (fault !== undefined) return
    fault = error
    if (error.code === 'EPIPE') return
    const isFull = error.code === 'ENOSPC'
    const code = report(isFull ? new CodedError('disk-full', { field: 'standard output' }, { cause: error }) : error)
    // The command sets its own exit code when it ends, and does not know that its output was lost.
    process.once('exit', () => {
      process.exitCode ||= code
    })
  })
}

/**
 * Prints text. Waits for a reader that is slower than this process.
 * @throws when standard output cannot be written, so that a long command ends (`isOutputFault`)
 */
export async function print(text: string): Promise<void> {
  if (fault !== undefined) throw fault
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** Whether an error is the fault of standard output. It is reported already, where it needs to be. */
export const isOutputFault = (error: unknown): boolean => fault !== undefined && error === fault
