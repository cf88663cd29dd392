/**
 * Lambda `api` (`handler`: API Gateway, payload 2.0) and Lambda `events` (`stream`: a function URL that streams) → the Hono app.
 * The one file that knows Hono's Lambda adapter.
 * @module
 */
import { handle, streamHandle } from 'hono/aws-lambda'
import { apiFromEnvironment, eventsFromEnvironment } from './environment.ts'

/** A Lambda is not told that its reader went away: one that nobody reads costs five minutes at most. */
const STREAM = { pollMs: 1_000, heartbeatMs: 15_000, maxMs: 5 * 60_000 }

export const handler = handle(apiFromEnvironment())

export const stream = streamHandle(eventsFromEnvironment(STREAM))
