/**
 * HTTP headers of the console's files, the same from the local server and from CloudFront.
 * @module
 */

/**
 * Content-Security-Policy: allows the page's own files, the API of the same origin and the site's identity provider. No inline script or
 * style, nothing from other origins.
 */
export function consolePolicy(connect: readonly string[] = []): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    ["connect-src 'self'", ...connect].join(' '),
    "worker-src 'self'",
    "manifest-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "object-src 'none'",
  ].join('; ')
}

/** Headers beside the Content-Security-Policy. */
export const CONSOLE_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
}

/**
 * How long a browser may cache a file: for ever where the build names it by its content, otherwise (`index.html`, `sw.js`) not without
 * asking.
 */
export const CONSOLE_CACHING = { assets: 'public, max-age=31536000, immutable', page: 'no-cache' } as const
