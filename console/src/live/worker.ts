/**
 * Worker that draws sweeps, so that a busy page never delays them.
 * @module
 */
import { startDrawing } from './drawing.ts'
import type { Order } from './protocol.ts'

const draw = startDrawing()
addEventListener('message', ({ data }: MessageEvent<Order>) => draw(data))
