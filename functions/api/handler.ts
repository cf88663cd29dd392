/**
 * Lambda `api` (`handler`: API Gateway, payload 2.0) and Lambda `events` (`stream`: a function URL that streams) → the Hono app. The only
 * file that uses Hono's Lambda adapter.
 * @module
 */
import { handle, streamHandle } from 'hono/aws-lambda'
import { apiFromEnvironment, eventsFromEnvironment } from './environment.ts'

/** A Lambda is not notified when its reader disconnects. A stream without a reader costs five minutes at most. */
const STREAM = { pollMs: 1_000, heartbeatMs: 15_000, maxMs: 5 * 60_000 }

export const handler = handle(apiFromEnvironment())

export const stream = streamHandle(eventsFromEnvironment(STREAM))
