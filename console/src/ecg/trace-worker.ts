/**
 * The worker that draws traces, so that a hand on the paper is never held up.
 * @module
 */
import { startTraceDrawing } from './trace-drawing.ts'
import type { TraceOrder } from './trace-protocol.ts'

const draw = startTraceDrawing(() => postMessage('drawn'))
addEventListener('message', ({ data }: MessageEvent<TraceOrder>) => draw(data))
