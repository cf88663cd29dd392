/**
 * Parses one file after another in its own thread: see `pool.ts`.
 * @module
 */
import { parentPort } from 'node:worker_threads'
import { CodedError } from '../../../shared/errors.ts'
import { parseRecording } from '../../../streams/formats/index.ts'
import type { ParseAnswer, ParseRequest } from './pool.ts'

parentPort!.on('message', (request: ParseRequest) => parentPort!.postMessage(answer(request)))

function answer({ files, options }: ParseRequest): ParseAnswer {
  try {
    return { recording: parseRecording(files, options) }
  } catch (error) {
    if (error instanceof CodedError) return { refusal: { code: error.code, detail: error.detail } }
    // Only its name, because its text may quote the file.
    return { failure: error instanceof Error ? error.name : 'Error' }
  }
}
