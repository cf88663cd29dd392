/**
 * Worker that draws traces, so that drawing never delays input on the page.
 * @module
 */
import { startTraceDrawing } from './trace-drawing.ts'
import type { TraceOrder } from './trace-protocol.ts'

const draw = startTraceDrawing(() => postMessage('drawn'))
addEventListener('message', ({ data }: MessageEvent<TraceOrder>) => draw(data))
