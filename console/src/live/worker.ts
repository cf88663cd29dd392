/**
 * The worker that draws, so that a busy page never holds a sweep up.
 * @module
 */
import { startDrawing } from './drawing.ts'
import type { Order } from './protocol.ts'

const draw = startDrawing()
addEventListener('message', ({ data }: MessageEvent<Order>) => draw(data))
