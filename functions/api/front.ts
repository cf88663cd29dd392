/**
 * Whether a request came by the site's front (CloudFront), and so by its web ACL: the API's own addresses are public, and answer nobody else.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { FRONT_HEADER } from '../../shared/config/deployment.ts'
import { CodedError } from '../../shared/errors.ts'

/** @param secret what the front sends with each request */
export function fromFront(secret: string): MiddlewareHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const wanted = digest(secret)
  return async (c, next) => {
    if (!timingSafeEqual(digest(c.req.header(FRONT_HEADER) ?? ''), wanted)) {
      throw new CodedError('address-closed', { field: 'host' })
    }
    await next()
  }
}
