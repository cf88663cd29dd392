/**
 * Checks that a request came through the site's front (CloudFront), and thus through its web ACL. The API's own addresses are public, but
 * refuse all other requests.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { MiddlewareHandler } from 'hono'
import { FRONT_HEADER } from '../../shared/config/deployment.ts'
import { CodedError } from '../../shared/errors.ts'

/**
 * Middleware that refuses requests from elsewhere.
 * @param secret header that CloudFront adds to each request
 * @throws CodedError `address-closed`
 */
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
